import type { Bench } from './bench.ts'
import { monotonicMs } from './clock.ts'
import type { BenchDatabase } from './database.ts'
import { DispatcherProcess, untilShared } from './dispatcher-process.ts'
import { holdBack } from './held-routes.ts'
import { countPending } from './outbox-rows.ts'
import { perSecond } from './progress.ts'
import type { ReceivingEndpoint } from './receiver.ts'
import { until } from './until.ts'

const maxTailMs = 60_000

export interface Drained {
  deliveriesPerSecond: number
  /** CPU time for each delivery, in microseconds; of all dispatchers together. */
  dispatcherCpuUs: number
  /** `null`: the system does not report it. */
  postgresCpuUs: number | null
  receiverCpuUs: number
  /** Of the dispatcher that has most. */
  peakResidentMb: number
}

export interface DrainedBy {
  /** With several, they share the slots before the backlog's routes are released. */
  dispatchers?: number
  settings?: Record<string, string>
}

export const showDrained = (drained: Drained): string =>
  `${perSecond(drained.deliveriesPerSecond)} (CPU for each: dispatcher ${Math.round(drained.dispatcherCpuUs)} µs, ` +
  `PostgreSQL ${drained.postgresCpuUs === null ? '?' : Math.round(drained.postgresCpuUs)} µs, receiver ${Math.round(drained.receiverCpuUs)} µs; dispatcher's memory ${Math.round(drained.peakResidentMb)} MB)`

/**
 * Starts dispatchers on a backlog and times it from the first POST at the receiver until all are settled as delivered.
 *
 * @param endpoint gets the deliveries of `businesses` and nothing else.
 * @throws Error when one of them was posted twice or is still pending.
 */
export async function drain(
  bench: Bench,
  database: BenchDatabase,
  endpoint: ReceivingEndpoint,
  businesses: readonly number[],
  { dispatchers: count = 1, settings = {} }: DrainedBy = {},
): Promise<Drained> {
  const { count: countBefore } = await endpoint.look()
  const backlog = await countPending(database, businesses)
  const release = count > 1 ? await holdBack(database, businesses) : null
  const dispatchers = Array.from({ length: count }, () => new DispatcherProcess(database, bench.profileInto, settings))
  try {
    if (release !== null) await untilShared(dispatchers).then(release)
    const receiverBeforeMs = await bench.receiver.cpuMs()
    await endpoint.until(countBefore + 1)
    const firstMs = monotonicMs()
    const cpuBefore = await cpuSeconds(dispatchers)
    const postgresBeforeMs = bench.server.cpuMs()
    const memories = dispatchers.map(watchMemory)
    await endpoint.until(countBefore + backlog)
    const endMs = await untilDelivered(dispatchers, backlog)
    const postgresAfterMs = bench.server.cpuMs()
    const dispatcherSeconds = (await cpuSeconds(dispatchers)) - cpuBefore
    const receiverMs = (await bench.receiver.cpuMs()) - receiverBeforeMs
    const peaks = await Promise.all(memories.map((memory) => memory.peakMb()))
    const posts = (await endpoint.look()).count - countBefore
    const pending = await countPending(database, businesses)
    if (posts !== backlog || pending > 0) throw new Error(`of ${backlog}: ${posts} POSTs, ${pending} still pending`)
    return {
      deliveriesPerSecond: (backlog * 1000) / (endMs - firstMs),
      dispatcherCpuUs: (dispatcherSeconds * 1e6) / backlog,
      postgresCpuUs:
        postgresBeforeMs === null || postgresAfterMs === null
          ? null
          : ((postgresAfterMs - postgresBeforeMs) * 1000) / backlog,
      receiverCpuUs: (receiverMs * 1000) / backlog,
      peakResidentMb: Math.max(...peaks),
    }
  } finally {
    await Promise.all(dispatchers.map((dispatcher) => dispatcher.stop()))
  }
}

async function cpuSeconds(dispatchers: readonly DispatcherProcess[]): Promise<number> {
  const figures = await Promise.all(dispatchers.map((dispatcher) => dispatcher.figures()))
  return figures.reduce((sum, one) => sum + one.cpuSeconds, 0)
}

/** A dispatcher counts a delivery when its settle was acknowledged: asking it costs the database nothing. */
function untilDelivered(dispatchers: readonly DispatcherProcess[], backlog: number): Promise<number> {
  return until('all are settled', maxTailMs, async () => {
    const figures = await Promise.all(dispatchers.map((dispatcher) => dispatcher.figures()))
    return figures.reduce((sum, { delivered }) => sum + delivered, 0) >= backlog && monotonicMs()
  })
}

/** Looks twice a second. */
export function watchMemory(dispatcher: DispatcherProcess): { peakMb(): Promise<number> } {
  let peak = 0
  const look = async (): Promise<void> => {
    peak = Math.max(peak, (await dispatcher.figures()).residentBytes)
  }
  const timer = setInterval(() => look().catch(() => undefined), 500)
  return {
    async peakMb() {
      clearInterval(timer)
      await look()
      return peak / 1e6
    },
  }
}
