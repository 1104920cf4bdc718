import { expect, onTestFinished, test } from 'vitest'
import type { DueRow } from '../src/dispatcher/reading/read-due.ts'
import { dueRow } from './helpers/due-delivery.ts'
import { isLeftOut, type ReadAsked, readerStand } from './helpers/reader-stand.ts'

test.each([1_700, 65_536])(
  'a backlog is read on while hints for others come with every read; payloads of %d bytes',
  async (payloadBytes) => {
    let [rows, others, hintedReads, ofBacklog] = [0, 1, 0, 0]
    const { promise, resolve } = Promise.withResolvers<void>()
    const { reader, sendOne } = readerStand(
      ({ businesses, allowance }) => {
        const isBacklog = businesses === null || businesses.includes('1')
        if (businesses?.some((business) => business !== '1')) {
          hintedReads += 1
          if (isBacklog) ofBacklog += 1
          if (hintedReads === 100) resolve()
        }
        reader.hint([1, 2, 3].map((n) => `${others + n}:inbound`))
        others += 3
        return isBacklog && rows < 900_000
          ? Array.from({ length: allowance }, () => dueRow(1, ++rows, { payload: Buffer.alloc(payloadBytes) }))
          : []
      },
      {
        onRead: () => {
          while (sendOne() !== null);
        },
      },
    )
    onTestFinished(() => reader.stop())
    reader.start()
    await promise
    expect(ofBacklog).toBeGreaterThan(50)
  },
)

/** What a table says in which each of so many routes has rows without end. */
function endlessRows(routes: number): (asked: ReadAsked) => DueRow[] {
  let rows = 0
  return ({ businesses, after, allowance, most, cursors }) => {
    const asked = businesses?.map(Number) ?? Array.from({ length: routes - after }, (_, n) => after + n + 1)
    return asked
      .filter((business) => !isLeftOut(cursors[`${business}:inbound`]))
      .slice(0, Math.ceil(most / allowance))
      .flatMap((business) => Array.from({ length: allowance }, () => dueRow(business, ++rows)))
      .slice(0, most)
  }
}

test('of very many routes with a backlog few are kept filled, and each has its turn', async () => {
  const routes = 5_000
  const { reader, queues, sendOne } = readerStand(endlessRows(routes))
  onTestFinished(() => reader.stop())
  reader.start()
  const sent = new Map<string, number>()
  let mostReady = 0
  for (let count = 0; count < routes * 8; ) {
    for (let turn = 0; turn < 20; turn += 1) {
      const business = sendOne()
      if (business === null) break
      sent.set(business, (sent.get(business) ?? 0) + 1)
      count += 1
    }
    reader.wakeIfHungry()
    await new Promise(setImmediate)
    // A sweep finds all of them at first.
    if (count > routes * 4) mostReady = Math.max(mostReady, queues.readyCount('first'))
  }
  expect(mostReady).toBeLessThan(routes / 2)
  expect(sent.size).toBe(routes)
  expect(Math.min(...sent.values())).toBeGreaterThanOrEqual(4)
})

/**
 * What a table says of `many` busy routes, of which each read by name finds `fresh` new rows at the most, and of backlogs
 * behind them, which have rows without end once `grown` says so.
 */
function busyAndBacklogs(many: number, backlogs: number, fresh: number, grown: () => boolean) {
  let rows = 0
  return ({ businesses, after, allowance, most, cursors }: ReadAsked): DueRow[] => {
    const ofBacklogs = Array.from({ length: backlogs }, (_, n) => many + n + 1)
    const asked = businesses?.map(Number).sort((a, b) => a - b) ?? ofBacklogs.filter((business) => business > after)
    return asked
      .filter((business) => !isLeftOut(cursors[`${business}:inbound`]) && (business <= many || grown()))
      .flatMap((business) => {
        return Array.from({ length: business > many ? allowance : Math.min(fresh, allowance) }, () =>
          dueRow(business, ++rows),
        )
      })
      .slice(0, most)
  }
}

test.each([
  [
    'one backlog',
    'have more than a read brings',
    { many: 400, backlogs: 1, fresh: 512, until: 40_000, share: 50 / 40_000 },
  ],
  ['as many backlogs', 'have one event each', { many: 1_200, backlogs: 1_200, fresh: 1, until: 60_000, share: 0.75 }],
])(
  '%s beside routes that hints keep filled, and that %s: by turns',
  async (_backlogs, _busy, { until, share, ...table }) => {
    let grown = false
    const { many, backlogs, fresh } = table
    const { reader, queues, sendOne } = readerStand(busyAndBacklogs(many, backlogs, fresh, () => grown))
    onTestFinished(() => reader.stop())
    reader.start()
    const names = (first: number, count: number) => Array.from({ length: count }, (_, n) => `${first + n}:inbound`)
    const sent = { ofBacklogs: 0, ofOthers: 0 }
    while (sent.ofOthers < until) {
      for (let turn = 0; turn < 20; turn += 1) {
        const business = Number(sendOne() ?? 0)
        if (business > many) sent.ofBacklogs += 1
        else if (business > 0 && grown) sent.ofOthers += 1
      }
      reader.hint(names(1, many))
      // Their one hint, when the others are in memory.
      if (!grown && queues.readyCount('first') >= many / 2) {
        grown = true
        reader.hint(names(many + 1, backlogs))
      }
      reader.wakeIfHungry()
      await new Promise(setImmediate)
    }
    expect(sent.ofBacklogs / sent.ofOthers).toBeGreaterThan(share)
  },
)

test('between two parts of a long sweep what is hinted at is read, behind it and before it', async () => {
  const rowsOf = endlessRows(5_000)
  const named: string[][] = []
  let parts = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  const { reader } = readerStand((asked) => {
    if (asked.businesses) named.push([...asked.businesses])
    else parts += 1
    // While a part in the middle is being read, and while what was hinted at then is.
    if (asked.businesses === null && parts === 3) reader.hint(['5001:inbound'])
    if (asked.businesses?.includes('5001')) reader.hint(['0:inbound', '5002:inbound'])
    if (parts === 8) resolve()
    return rowsOf(asked)
  })
  onTestFinished(() => reader.stop())
  reader.start()
  await promise
  expect(named.flat().filter((business) => ['0', '5001', '5002'].includes(business))).toEqual(['5001', '0', '5002'])
})

const mebibyte = 1024 * 1024

/** Endless rows of given businesses and payload sizes, as many as fit into a read. */
function endlessPayloads(sizes: Record<string, number>): (asked: ReadAsked) => DueRow[] {
  let id = 0
  return ({ businesses, after, allowance, most, cursors, bytes }) => {
    const rows: DueRow[] = []
    let [count, sum] = [0, 0]
    for (const [business, size] of Object.entries(sizes)) {
      const isAsked = businesses === null ? Number(business) > after : businesses.includes(business)
      if (!isAsked || isLeftOut(cursors[`${business}:inbound`])) continue
      for (let n = 0; n < allowance && count < most && sum < bytes; n += 1) {
        rows.push(dueRow(Number(business), ++id, { payload: Buffer.alloc(size) }))
        count += 1
        sum += size
      }
    }
    return rows
  }
}

test('a route with large payloads that answers slowly is read again only when there is memory for more', async () => {
  const rowsOf = endlessPayloads({ 1: mebibyte })
  let [reads, hintedReads] = [0, 0]
  const { promise, resolve } = Promise.withResolvers<void>()
  const { reader, queues } = readerStand(
    (asked) => {
      if (asked.businesses?.includes('1')) reads += 1
      if (asked.businesses?.some((business) => business !== '1')) {
        hintedReads += 1
        if (hintedReads === 50) resolve()
      }
      reader.hint([`${hintedReads + 2}:inbound`])
      return rowsOf(asked)
    },
    // All that its limit allows is sent, and nothing is answered.
    { onRead: () => void Array.from({ length: 16 }, () => queues.next(0)) },
  )
  onTestFinished(() => reader.stop())
  reader.start()
  await promise
  expect(reads).toBeLessThan(10)
})

test('backlogs of large payloads hide no backlog behind them', async () => {
  const { reader, sendOne } = readerStand(
    endlessPayloads({ 1: mebibyte, 2: mebibyte, 3: 1_700, 4: mebibyte, 5: 1_700 }),
  )
  onTestFinished(() => reader.stop())
  reader.start()
  const sent: Record<string, number> = { 1: 0, 2: 0, 3: 0, 4: 0, 5: 0 }
  for (let count = 0; count < 2_000; ) {
    for (let turn = 0; turn < 20; turn += 1) {
      const business = sendOne()
      if (business === null) break
      sent[business] = (sent[business] ?? 0) + 1
      count += 1
    }
    reader.wakeIfHungry()
    await new Promise(setImmediate)
  }
  for (const business of ['1', '2', '4']) expect(sent[business]).toBeGreaterThan(20)
  for (const business of ['3', '5']) expect(sent[business]).toBeGreaterThan(400)
})

test('large payloads to receivers that hang leave room for small ones to others', async () => {
  const hanging = ['1', '2', '3', '4', '5']
  const sizes = Object.fromEntries([...hanging, '6'].map((business) => [business, business === '6' ? 1_700 : mebibyte]))
  let [reads, isFull] = [0, false]
  const rowsOf = endlessPayloads(sizes)
  const { reader, queues, window } = readerStand((asked) => {
    if (asked.businesses?.includes('6')) reads += 1
    return rowsOf(asked).filter(({ businessId }) => isFull || hanging.includes(businessId))
  })
  onTestFinished(() => reader.stop())
  reader.start()
  let [sent, held] = [0, 0]
  while (sent < 2_000) {
    for (let turn = 0; turn < 20; turn += 1) {
      const delivery = queues.next(0)
      if (delivery === null) break
      window.send()
      if (hanging.includes(delivery.route.businessId)) {
        held += 1
        continue
      }
      queues.answered(delivery)
      window.settle([delivery])
      sent += 1
    }
    if (!isFull && window.roomBytes <= 16 * mebibyte) {
      isFull = true
      reader.hint(['6:inbound'])
    }
    reader.wakeIfHungry()
    await new Promise(setImmediate)
  }
  expect(held).toBeGreaterThan(30)
  expect(reads).toBeLessThan(100)
})
