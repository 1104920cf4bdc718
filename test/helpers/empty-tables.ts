import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

const lockNotAvailable = '55P03'

/**
 * Truncates the tables when nobody is at work on any of them. `truncate` alone locks one after the other, so it can come
 * to a deadlock with what a test before has left running, be it a runner or the last statement of a process that was
 * killed; this never waits for one table while it holds another.
 *
 * @param named as they stand in SQL, with commas in between; the outbox includes its due rows and dead letters.
 */
export async function emptyTables({ pool }: TestDatabase, named: string): Promise<void> {
  const tables = named.replace(/\bwebhook_outbox\b/, 'webhook_outbox, webhook_due, webhook_dead_letters')
  await eventually(`nobody is at work on ${tables}`, async () => {
    try {
      await pool.query(`lock table ${tables} in access exclusive mode nowait; truncate ${tables}`)
      return true
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === lockNotAvailable) return false
      throw error
    }
  })
}
