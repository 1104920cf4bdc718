import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import type { BenchDatabase } from '../harness/database.ts'
import { type Drained, drain, showDrained } from '../harness/drain.ts'
import { fillDelivered, fillOutbox } from '../harness/outbox-rows.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'

/** A month's deliveries and their attempts, of the same businesses, against a table with nothing but the backlog. */
export async function measureKeptRows(bench: Bench): Promise<Figure[]> {
  const kept = bench.quick ? 100_000 : 2_000_000
  const rowsEach = bench.quick ? 250 : 1_000
  return withDatabase(bench, (full) =>
    withEndpoint(bench, {}, async (endpoint) => {
      await putBusinesses(full, businesses, endpoint.url)
      bench.progress.say(`kept rows: writing ${kept.toLocaleString('en')} delivered rows`)
      const halves = [businesses.slice(0, businesses.length / 2), businesses.slice(businesses.length / 2)]
      await Promise.all(halves.map((half) => fillDelivered(full, half, kept / businesses.length, endpoint.url)))
      let fills = 0
      const run = async (database: BenchDatabase): Promise<Drained> => {
        fills += 1
        await fillOutbox(database, businesses, rowsEach, `backlog ${fills}`)
        await database.settleDown()
        return drain(bench, database, endpoint, businesses)
      }
      const empty = () =>
        withDatabase(bench, async (database) => {
          await putBusinesses(database, businesses, endpoint.url)
          return run(database)
        })
      const measured = await alternate(bench, 'kept rows', { empty, kept: () => run(full) }, showDrained)
      const rates = (results: Drained[]) => results.map(({ deliveriesPerSecond }) => deliveriesPerSecond)
      return [
        {
          title: `throughput with ${kept.toLocaleString('en')} delivered rows kept / empty table`,
          unit: '×',
          goal: { is: 'at least', value: 0.9 },
          values: ratios(rates(measured.kept), rates(measured.empty)),
        },
      ]
    }),
  )
}
