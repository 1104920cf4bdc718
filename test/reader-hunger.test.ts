import { expect, onTestFinished, test } from 'vitest'
import type { DueRow } from '../src/dispatcher/intake.ts'
import { dueRow, type ReadAsked, readerStand } from './helpers/reader-stand.ts'

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
        return isBacklog && rows < 900_000 ? Array.from({ length: allowance }, () => dueRow(1, ++rows)) : []
      },
      {
        payloadBytes,
        onRead: () =>
          void (() => {
            while (sendOne() !== null);
          })(),
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
      .filter((business) => cursors[`${business}:inbound`] !== 'infinity')
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
    if (count > routes * 4) mostReady = Math.max(mostReady, queues.turnsOf('first'))
  }
  expect(mostReady).toBeLessThan(routes / 2)
  expect(sent.size).toBe(routes)
  expect(Math.min(...sent.values())).toBeGreaterThanOrEqual(4)
})

test('a backlog has its share beside many routes that always have something to send', async () => {
  const busy = 400
  const backlog = '1000'
  let rows = 0
  const { reader, queues, sendOne } = readerStand(({ businesses, allowance }) => {
    const asked = businesses ?? []
    return asked.flatMap((business) =>
      Array.from({ length: business === backlog ? allowance : 2 }, () => dueRow(Number(business), ++rows)),
    )
  })
  onTestFinished(() => reader.stop())
  reader.start()
  const sent = { ofBacklog: 0, ofOthers: 0 }
  while (sent.ofOthers < busy * 100) {
    for (let turn = 0; turn < 20; turn += 1) {
      const business = sendOne()
      if (business === backlog) sent.ofBacklog += 1
      else if (business !== null) sent.ofOthers += 1
    }
    reader.hint(Array.from({ length: busy }, (_, n) => `${n + 1}:inbound`))
    // Its one hint, when the others are in memory.
    if (sent.ofBacklog === 0 && queues.turnsOf('first') >= busy) reader.hint([`${backlog}:inbound`])
    reader.wakeIfHungry()
    await new Promise(setImmediate)
  }
  expect(sent.ofBacklog).toBeGreaterThan(50)
})

test('backlogs have their share beside as many routes that hints keep filled', async () => {
  const many = 600
  let rows = 0
  const { reader, sendOne } = readerStand(({ businesses, allowance, most }) =>
    (businesses?.map(Number).sort((a, b) => a - b) ?? [])
      .flatMap((business) => Array.from({ length: business > many ? allowance : 1 }, () => dueRow(business, ++rows)))
      .slice(0, most),
  )
  onTestFinished(() => reader.stop())
  reader.start()
  const names = (first: number) => Array.from({ length: many }, (_, n) => `${first + n}:inbound`)
  reader.hint(names(many + 1))
  const sent = { ofBacklogs: 0, ofOthers: 0 }
  while (sent.ofOthers < 60_000) {
    for (let turn = 0; turn < 20; turn += 1) {
      const business = Number(sendOne() ?? 0)
      if (business > many) sent.ofBacklogs += 1
      else if (business > 0) sent.ofOthers += 1
    }
    reader.hint(names(1))
    reader.wakeIfHungry()
    await new Promise(setImmediate)
  }
  expect(sent.ofBacklogs).toBeGreaterThan(sent.ofOthers * 0.8)
})

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
