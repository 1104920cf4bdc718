import type { Bench } from './bench.ts'
import { firstBusinesses, putBusinesses } from './businesses.ts'
import { DispatcherProcess, untilShared } from './dispatcher-process.ts'
import { watchMemory } from './drain.ts'
import { fillOutbox } from './outbox-rows.ts'
import { perSecond } from './progress.ts'
import { withDatabase, withEndpoint } from './rooms.ts'

/** Two of each slot, so that two dispatchers have the same to do. */
const businesses = firstBusinesses(128)

export interface SteadyLoad {
  dispatchers: number
  settings?: Record<string, string>
  /** Before each answer, in milliseconds. */
  delayMs: number
  /** Not counted, until as many POSTs are in flight as will be. */
  runInMs: number
  seconds: number
  /** No faster than this, all dispatchers together: it is what the backlog is made for. */
  maxPerSecond: number
}

export interface Steady {
  perSecond: number
  /** Of the dispatcher that has most. */
  peakResidentMb: number
}

export const showSteady = (steady: Steady): string =>
  `${perSecond(steady.perSecond)} (dispatcher's memory ${Math.round(steady.peakResidentMb)} MB)`

/**
 * The rate of dispatchers that are up and have shared the slots before the backlog comes, at a time when none has run dry.
 *
 * @throws Error when the backlog was too small for that.
 */
export function steadyRate(bench: Bench, load: SteadyLoad): Promise<Steady> {
  const { delayMs, runInMs, seconds } = load
  return withEndpoint(bench, { delayMs }, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      const dispatchers = Array.from(
        { length: load.dispatchers },
        () => new DispatcherProcess(database, bench.profileInto, load.settings),
      )
      try {
        await untilShared(dispatchers)
        const memories = dispatchers.map(watchMemory)
        const rows = load.maxPerSecond * (seconds + runInMs / 1_000 + 1)
        const rowsEach = Math.ceil(rows / businesses.length)
        await fillOutbox(database, businesses, rowsEach, 'backlog')
        await endpoint.until(1)
        await sleep(runInMs)
        const begin = await endpoint.look()
        await sleep(seconds * 1_000)
        const end = await endpoint.look()
        const peaks = await Promise.all(memories.map((memory) => memory.peakMb()))
        if (end.count > 0.95 * rowsEach * businesses.length) throw new Error('the backlog was too small')
        const rate = ((end.count - begin.count) * 1_000) / (end.atMs - begin.atMs)
        return { perSecond: rate, peakResidentMb: Math.max(...peaks) }
      } finally {
        await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()))
      }
    }),
  )
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
