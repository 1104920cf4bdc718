import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import { type Latency, measureLatency, showLatency } from '../harness/latency.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'

const hangingBusiness = 1_000
const hangingRows = 10_000

/** One endpoint takes every connection to its timeout; how soon do the 100 others get theirs? */
export async function measureHangingEndpoint(bench: Bench): Promise<Figure[]> {
  const sides = { without: () => run(bench, false), hanging: () => run(bench, true) }
  const measured = await alternate(bench, 'hanging endpoint, latency at 200/s', sides, showLatency)
  const p99 = (results: Latency[]) => results.map((latency) => latency.p99)
  return [
    {
      title: 'one endpoint hanging, 10,000 rows: p99 of the healthy at 200/s / without it',
      unit: '×',
      goal: { is: 'at most', value: 2 },
      values: ratios(p99(measured.hanging), p99(measured.without)),
    },
  ]
}

function run(bench: Bench, hangs: boolean): Promise<Latency> {
  return withEndpoint(bench, { hangs: true }, (hanging) =>
    withEndpoint(bench, { records: true }, (endpoint) =>
      withDatabase(bench, async (database) => {
        await putBusinesses(database, businesses, endpoint.url)
        if (hangs) {
          await putBusinesses(database, [hangingBusiness], hanging.url)
          await fillOutbox(database, [hangingBusiness], hangingRows, 'hanging')
          await database.settleDown()
        }
        // The default timeout is 15 s: the longer run sees it pass.
        const load = { businesses, eventsPerSecond: 200, seconds: bench.quick ? 4 : 16 }
        return measureLatency(bench, database, endpoint, load)
      }),
    ),
  )
}
