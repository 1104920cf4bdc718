import type { Bench } from './bench.ts'
import { monotonicMs } from './clock.ts'
import type { BenchDatabase } from './database.ts'
import { type DispatcherFigures, DispatcherProcess } from './dispatcher-process.ts'
import { countPending } from './outbox-rows.ts'
import { perSecond } from './progress.ts'
import type { ReceivingEndpoint } from './receiver.ts'
import { until } from './until.ts'

const longestTailMs = 60_000

export interface Drained {
  deliveriesPerSecond: number
  /** CPU time for each delivery, in microseconds. */
  dispatcherCpuUs: number
  /** `null`: the system does not tell. */
  postgresCpuUs: number | null
  receiverCpuUs: number
  peakResidentMb: number
}

export const showDrained = (drained: Drained): string =>
  `${perSecond(drained.deliveriesPerSecond)} (CPU for each: dispatcher ${Math.round(drained.dispatcherCpuUs)} µs, ` +
  `PostgreSQL ${drained.postgresCpuUs === null ? '?' : Math.round(drained.postgresCpuUs)} µs, receiver ${Math.round(drained.receiverCpuUs)} µs; dispatcher's memory ${Math.round(drained.peakResidentMb)} MB)`

/**
 * Starts a dispatcher on a backlog and times it from the first POST at the receiver until all are settled as delivered.
 *
 * @param endpoint gets the deliveries of `businesses` and nothing else.
 * @throws Error when one of them was posted twice or is still pending.
 */
export async function drain(
  bench: Bench,
  database: BenchDatabase,
  endpoint: ReceivingEndpoint,
  businesses: readonly number[],
): Promise<Drained> {
  const { count: countBefore } = await endpoint.look()
  const backlog = await countPending(database, businesses)
  const receiverBeforeMs = await bench.receiver.cpuMs()
  const dispatcher = new DispatcherProcess(database, bench.profileInto)
  try {
    await endpoint.until(countBefore + 1)
    const firstMs = monotonicMs()
    const { cpuSeconds: cpuBefore } = await dispatcher.figures()
    const postgresBeforeMs = bench.server.cpuMs()
    const memory = watchMemory(dispatcher)
    await endpoint.until(countBefore + backlog)
    const { figures, endMs } = await untilDelivered(dispatcher, backlog)
    const postgresAfterMs = bench.server.cpuMs()
    const receiverMs = (await bench.receiver.cpuMs()) - receiverBeforeMs
    const peakResidentMb = await memory.peakMb()
    const posts = (await endpoint.look()).count - countBefore
    const pending = await countPending(database, businesses)
    if (posts !== backlog || pending > 0) throw new Error(`of ${backlog}: ${posts} POSTs, ${pending} still pending`)
    return {
      deliveriesPerSecond: (backlog * 1000) / (endMs - firstMs),
      dispatcherCpuUs: ((figures.cpuSeconds - cpuBefore) * 1e6) / backlog,
      postgresCpuUs:
        postgresBeforeMs === null || postgresAfterMs === null
          ? null
          : ((postgresAfterMs - postgresBeforeMs) * 1000) / backlog,
      receiverCpuUs: (receiverMs * 1000) / backlog,
      peakResidentMb,
    }
  } finally {
    await dispatcher.stop()
  }
}

/** The dispatcher counts a delivery when its settle was acknowledged: asking it costs the database nothing. */
function untilDelivered(
  dispatcher: DispatcherProcess,
  backlog: number,
): Promise<{ figures: DispatcherFigures; endMs: number }> {
  return until('all are settled', longestTailMs, async () => {
    const figures = await dispatcher.figures()
    return figures.delivered >= backlog && { figures, endMs: monotonicMs() }
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
