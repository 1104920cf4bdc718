import { callboxRun } from '../contestants/callbox.ts'
import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import { type Latency, measureLatency, showLatency } from '../harness/latency.ts'
import { perSecond } from '../harness/progress.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate } from '../harness/rounds.ts'
import { median } from '../harness/statistics.ts'

/** From the commit to the first byte at the receiver, when there is time enough. */
export async function measureLatencyAt200(bench: Bench): Promise<Figure[]> {
  const side = () => latencyAt(bench, 200)
  const { Callbox: measured } = await alternate(bench, 'latency at 200/s', { Callbox: side }, showLatency)
  return [
    {
      title: 'commit to first byte at 200/s, p50',
      unit: 'ms',
      goal: { is: 'at most', value: 2 },
      values: measured.map(({ p50 }) => p50),
    },
    {
      title: 'commit to first byte at 200/s, p99',
      unit: 'ms',
      goal: { is: 'at most', value: 10 },
      values: measured.map(({ p99 }) => p99),
    },
  ]
}

/** The same at half of the throughput that was measured in this run, or is measured now. */
export async function measureLatencyAtHalf(bench: Bench): Promise<Figure[]> {
  if (bench.maxima.length === 0) {
    const run = callboxRun({ dispatchers: 1 })
    const { deliveriesPerSecond: maximum } = await run(bench, bench.quick ? 250 : 1_000)
    bench.progress.say(`latency at half: the maximum is ${perSecond(maximum)}`)
    bench.maxima.push(maximum)
  }
  const half = Math.round(median(bench.maxima) / 2)
  const side = () => latencyAt(bench, half)
  const { Callbox: measured } = await alternate(bench, `latency at ${perSecond(half)}`, { Callbox: side }, showLatency)
  return [
    {
      title: `commit to first byte at ${perSecond(half)}, half of the maximum, p99`,
      unit: 'ms',
      goal: { is: 'at most', value: 100 },
      values: measured.map(({ p99 }) => p99),
    },
  ]
}

function latencyAt(bench: Bench, eventsPerSecond: number): Promise<Latency> {
  return withEndpoint(bench, { records: true }, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      return measureLatency(bench, database, endpoint, { businesses, eventsPerSecond, seconds: bench.quick ? 4 : 10 })
    }),
  )
}
