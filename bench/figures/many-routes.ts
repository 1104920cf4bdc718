import type { Bench, Figure } from '../harness/bench.ts'
import { firstBusinesses, putBusinesses } from '../harness/businesses.ts'
import { type Drained, drain, showDrained } from '../harness/drain.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'

/** The same number of deliveries, spread over a hundred times as many routes. */
export async function measureManyRoutes(bench: Bench): Promise<Figure[]> {
  const scale = bench.quick ? 0.25 : 1
  const sides = {
    'few routes': () => run(bench, 50, 1_000 * scale),
    'many routes': () => run(bench, 5_000 * scale, 10),
  }
  const measured = await alternate(bench, 'many routes', sides, showDrained)
  const rates = (results: Drained[]) => results.map(({ deliveriesPerSecond }) => deliveriesPerSecond)
  return [
    {
      title: `${(10_000 * scale).toLocaleString('en')} routes of 10 rows / 100 routes of ${1_000 * scale}`,
      unit: '×',
      goal: { is: 'at least', value: 0.8 },
      values: ratios(rates(measured['many routes']), rates(measured['few routes'])),
    },
  ]
}

/** Both routes of each business have rows. */
function run(bench: Bench, businessCount: number, rowsEach: number): Promise<Drained> {
  const businesses = firstBusinesses(businessCount)
  return withEndpoint(bench, {}, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      await fillOutbox(database, businesses, rowsEach, 'backlog', ['inbound', 'outbound'])
      await database.settleDown()
      return drain(bench, database, endpoint, businesses)
    }),
  )
}
