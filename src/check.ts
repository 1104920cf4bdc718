import type { Config } from './config.ts'
import { ConfigError } from './config.ts'
import { createKnex } from './database/knex.ts'
import { openDatabase } from './database/open.ts'
import { missingMigrations } from './database/schema-version.ts'
import { explainUnusable } from './database/unusable.ts'
import { findUnaccounted, forgetAccounted, rememberUnaccounted } from './outbox/accounting.ts'
import { requeueDelivery } from './outbox/requeue.ts'

/** How often the number of examined events is written, in milliseconds. */
const progressMs = 2_000

/**
 * The command `callbox check`: examines every event for a due row, a dead letter or a successful attempt, and prints those
 * that have none. They stay on record for the metric `callbox_outbox_unaccounted`.
 *
 * @param repair makes them due again.
 * @returns the exit code: 1 when events are left unaccounted for.
 * @throws {ConfigError} for settings that it cannot run with.
 */
export async function runCheck(config: Config, repair: boolean): Promise<number> {
  const opened = await openDatabase(config, true)
  const knex = createKnex(opened.url, config.databaseSchema, 'callbox check', 2)
  try {
    const missing = await missingMigrations(knex)
    if (missing !== null) throw new ConfigError(missing)
    let [examined, found, saidMs] = [0, 0, performance.now()]
    await findUnaccounted(knex, null, async (page) => {
      examined += page.examined
      found += page.unaccounted.length
      await rememberUnaccounted(knex, page.unaccounted)
      for (const { businessId, id } of page.unaccounted) {
        process.stdout.write(`unaccounted: ${id} of business ${businessId}\n`)
        if (repair) await knex.transaction((trx) => requeueDelivery(trx, businessId, id))
      }
      if (performance.now() - saidMs < progressMs) return
      saidMs = performance.now()
      process.stderr.write(`examined ${examined} events\n`)
    })
    await forgetAccounted(knex)
    process.stdout.write(
      `${examined} events examined, ${found} unaccounted for${repair ? ' and made due again' : ''}\n`,
    )
    if (found > 0 && !repair) process.stdout.write('callbox check --repair makes them due again\n')
    return found > 0 && !repair ? 1 : 0
  } catch (error) {
    throw explainUnusable(error, 'DATABASE_URL')
  } finally {
    await knex.destroy()
    await opened.embedded?.stop()
  }
}
