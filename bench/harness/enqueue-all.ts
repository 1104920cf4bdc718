import type { BenchDatabase } from './database.ts'
import { payload } from './payload.ts'

const eventsPerCommit = 50

/** Enqueues by `callbox_enqueue`, as a producer does, in commits of 50 events, the businesses taking turns. */
export async function enqueueAll(database: BenchDatabase, businesses: readonly number[], count: number): Promise<void> {
  const client = await database.pool.connect()
  try {
    for (let first = 1; first <= count; first += eventsPerCommit) {
      await client.query({
        name: 'enqueue',
        text: `
          select ${database.version.schema}.callbox_enqueue(
            ($1::bigint[])[1 + n % cardinality($1::bigint[])], 'CA' || md5(n::text), 'call.completed', 'inbound', $4::json)
          from generate_series($2::integer, $3::integer) as n`,
        values: [businesses, first, Math.min(count, first + eventsPerCommit - 1), payload],
      })
    }
  } finally {
    client.release()
  }
}
