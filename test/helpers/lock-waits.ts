import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

/**
 * Waits until a statement in this database waits for an advisory lock, or for the transaction that holds a row. Other
 * databases of the server do not count: the tests of other files wait there.
 */
export async function untilSomebodyWaits({ pool }: TestDatabase, kind: 'advisory' | 'transactionid'): Promise<void> {
  await eventually(`a statement waits for a lock (${kind})`, async () => {
    const { rows } = await pool.query(
      `select from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and wait_event = $1`,
      [kind],
    )
    return rows.length > 0
  })
}
