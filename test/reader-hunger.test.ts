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
  return ({ businesses, after, allowance, most }) => {
    const asked = businesses?.map(Number) ?? Array.from({ length: routes - after }, (_, n) => after + n + 1)
    return asked
      .slice(0, Math.ceil(most / allowance))
      .flatMap((business) => Array.from({ length: allowance }, () => dueRow(business, ++rows)))
      .slice(0, most)
  }
}

test('of very many routes with a backlog few have something in memory at once, and each has its turn', async () => {
  const routes = 5_000
  const { reader, queues, sendOne } = readerStand(endlessRows(routes))
  onTestFinished(() => reader.stop())
  reader.start()
  const served = new Set<string>()
  let mostReady = 0
  while (served.size < routes) {
    for (let sent = 0; sent < 20; sent += 1) served.add(sendOne() ?? '1')
    reader.wakeIfHungry()
    await new Promise(setImmediate)
    mostReady = Math.max(mostReady, queues.ready('first'))
  }
  expect(mostReady).toBeLessThan(routes / 2)
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
    if (sent.ofBacklog === 0 && queues.ready('first') >= busy) reader.hint([`${backlog}:inbound`])
    reader.wakeIfHungry()
    await new Promise(setImmediate)
  }
  expect(sent.ofBacklog).toBeGreaterThan(50)
})
