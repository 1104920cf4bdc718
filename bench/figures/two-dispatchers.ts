import type { Bench, Figure } from '../harness/bench.ts'
import { firstBusinesses, putBusinesses } from '../harness/businesses.ts'
import { DispatcherProcess } from '../harness/dispatcher-process.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import { perSecond } from '../harness/progress.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'
import { until } from '../harness/until.ts'

/** Two of each slot, so that two dispatchers have the same to do. */
const businesses = firstBusinesses(128)
const slotCount = 64
const delayMs = 50
const shareMs = 30_000
const runInMs = 1_000

/** Both are up and have shared the slots before the backlog comes; the rate is of a time when neither has run dry. */
export async function measureTwoDispatchers(bench: Bench): Promise<Figure[]> {
  const seconds = bench.quick ? 2 : 5
  const one = () => rateOf(bench, 1, seconds)
  const two = () => rateOf(bench, 2, seconds)
  const measured = await alternate(bench, 'two dispatchers', { one, two }, perSecond)
  return [
    { title: 'one dispatcher, endpoints of 50 ms', unit: '/s', goal: null, values: measured.one },
    {
      title: 'two dispatchers / one, endpoints of 50 ms',
      unit: '×',
      goal: { is: 'at least', value: 1.9 },
      values: ratios(measured.two, measured.one),
    },
  ]
}

function rateOf(bench: Bench, dispatcherCount: number, seconds: number): Promise<number> {
  return withEndpoint(bench, { delayMs }, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      const dispatchers = Array.from(
        { length: dispatcherCount },
        () => new DispatcherProcess(database, bench.profileInto),
      )
      try {
        await until('the slots are shared', shareMs, async () => {
          const figures = await Promise.all(dispatchers.map((dispatcher) => dispatcher.figures()))
          return figures.every(({ slots }) => slots === slotCount / dispatcherCount)
        })
        const rowsEach = Math.ceil((6_000 * dispatcherCount * (seconds + 2)) / businesses.length)
        await fillOutbox(database, businesses, rowsEach, 'backlog')
        await endpoint.until(1)
        await sleep(runInMs)
        const begin = await endpoint.look()
        await sleep(seconds * 1_000)
        const end = await endpoint.look()
        if (end.count > 0.95 * rowsEach * businesses.length) throw new Error('the backlog was too small')
        return ((end.count - begin.count) * 1_000) / (end.atMs - begin.atMs)
      } finally {
        await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()))
      }
    }),
  )
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
