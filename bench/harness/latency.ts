import type { Bench } from './bench.ts'
import { Child } from './child.ts'
import type { BenchDatabase } from './database.ts'
import { DispatcherProcess } from './dispatcher-process.ts'
import { watchMemory } from './drain.ts'
import type { ProducerMethods } from './producer.ts'
import type { ReceivingEndpoint } from './receiver.ts'
import { quantile } from './statistics.ts'
import { until } from './until.ts'

const warmUpSeconds = 3
const readyMs = 20_000
const slotCount = 64

export interface Latency {
  events: number
  /** Milliseconds from the commit to the first byte at the receiver. */
  p50: number
  p99: number
  max: number
  peakResidentMb: number
}

export const showLatency = ({ p50, p99, max, events }: Latency): string =>
  `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, max ${max.toFixed(0)} ms, ${events} events`

/**
 * Runs a dispatcher and a producer, each a process, and times every event of the producer's, after 3 s to warm up.
 *
 * @param endpoint records, and gets nothing but the producer's events.
 */
export async function measureLatency(
  bench: Bench,
  database: BenchDatabase,
  endpoint: ReceivingEndpoint,
  load: { businesses: readonly number[]; eventsPerSecond: number; seconds: number },
): Promise<Latency> {
  const dispatcher = new DispatcherProcess(database, bench.profileInto)
  const producer = new Child<ProducerMethods>('harness/producer-process.ts')
  try {
    await until('the dispatcher owns all slots', readyMs, async () => (await dispatcher.figures()).slots === slotCount)
    const memory = watchMemory(dispatcher)
    const seconds = warmUpSeconds + load.seconds
    const { ids, committedMs } = await producer.call('produce', { ...load, databaseUrl: database.url, seconds })
    await endpoint.until(ids.length)
    const arrivals = await endpoint.arrivals()
    const peakResidentMb = await memory.peakMb()
    const warmMs = (committedMs[0] ?? 0) + warmUpSeconds * 1000
    const latencies: number[] = []
    for (const [index, id] of ids.entries()) {
      const commitMs = committedMs[index] ?? 0
      const arrivalMs = arrivals.get(id)
      if (arrivalMs === undefined) throw new Error(`delivery ${id} has not arrived`)
      if (commitMs >= warmMs) latencies.push(arrivalMs - commitMs)
    }
    return {
      events: latencies.length,
      p50: quantile(latencies, 0.5),
      p99: quantile(latencies, 0.99),
      max: quantile(latencies, 1),
      peakResidentMb,
    }
  } finally {
    await producer.stop()
    await dispatcher.stop()
  }
}
