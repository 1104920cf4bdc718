import { HintSender } from '../../src/database/hints.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import type { BenchDatabase } from './database.ts'

/**
 * Takes the rows of the routes away: a delivery is never read without one. So a backlog can be written and vacuumed before
 * dispatchers start, and still wait until all of them are ready.
 *
 * @returns puts the rows back and hints, so that every dispatcher begins at once.
 */
export async function holdBack(database: BenchDatabase, businesses: readonly number[]): Promise<() => Promise<void>> {
  const { pool } = database
  await pool.query('delete from callbox.routes where business_id = any($1::bigint[])', [businesses])
  return async () => {
    await pool.query(
      `insert into callbox.routes (business_id, direction)
       select id, direction from unnest($1::bigint[]) as b (id)
       cross join (values ('inbound'), ('outbound')) as d (direction)`,
      [businesses],
    )
    const hints = new HintSender(pool, defaultSchema)
    for (const business of businesses) hints.hint(String(business), 'inbound')
    await hints.flush()
  }
}
