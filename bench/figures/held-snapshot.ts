import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import { type Drained, drain, showDrained } from '../harness/drain.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'

/** Another session's open transaction keeps every dead row and index entry of the run from being cleared away. */
export async function measureHeldSnapshot(bench: Bench): Promise<Figure[]> {
  const sides = { without: () => run(bench, false), held: () => run(bench, true) }
  const measured = await alternate(bench, 'held snapshot', sides, showDrained)
  const rates = (results: Drained[]) => results.map(({ deliveriesPerSecond }) => deliveriesPerSecond)
  return [
    {
      title: 'throughput while another session holds a snapshot / without',
      unit: '×',
      goal: { is: 'at least', value: 0.9 },
      values: ratios(rates(measured.held), rates(measured.without)),
    },
  ]
}

function run(bench: Bench, held: boolean): Promise<Drained> {
  return withEndpoint(bench, {}, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      await fillOutbox(database, businesses, bench.quick ? 250 : 1_500, 'backlog')
      await database.settleDown()
      const session = await database.pool.connect()
      try {
        await session.query('begin isolation level repeatable read')
        // The first statement takes the snapshot.
        if (held) await session.query('select from callbox.webhook_outbox limit 1')
        return await drain(bench, database, endpoint, businesses)
      } finally {
        await session.query('rollback')
        session.release()
      }
    }),
  )
}
