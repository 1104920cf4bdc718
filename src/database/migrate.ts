import type { Knex } from 'knex'
import { PgBoss } from 'pg-boss'
import { ConfigError } from '../config.ts'
import { createKnex } from './knex.ts'
import { migrationsDirectory, migrationsTable, unknownMigrations } from './schema-version.ts'

const migrations = { directory: migrationsDirectory, loadExtensions: ['.ts'], tableName: migrationsTable }

/** A number of our own for `pg_advisory_xact_lock`: "callbox" has seven letters, and migrations are its first lock. */
const migrationLock = 7_000_001

/**
 * Brings the schema to what this version knows, pg-boss's included; one process at a time, others wait.
 *
 * The lock is held by an open transaction on a connection of its own: it also works through PgBouncer in transaction
 * mode, and a `kill -9` frees it. knex's own lock is a row that a `kill -9` leaves behind, so it is cleared first.
 *
 * @returns the names of the migrations that were applied.
 * @throws {ConfigError} for a database of another version.
 */
export async function migrate(url: string): Promise<string[]> {
  const knex = createKnex(url, 'callbox migrate', 3)
  try {
    return await knex.transaction(async (lock) => {
      await lock.raw('select pg_advisory_xact_lock(?)', [migrationLock]).timeout(600_000)
      await refuseUnknown(knex)
      await knex.migrate.forceFreeMigrationsLock(migrations)
      const [, applied] = (await knex.migrate.latest(migrations)) as [number, string[]]
      await installQueue(url)
      return applied
    })
  } finally {
    await knex.destroy()
  }
}

/** @throws {ConfigError} for a schema of another version, which this one would not know how to use. */
async function refuseUnknown(knex: Knex): Promise<void> {
  const unknown = await unknownMigrations(knex)
  if (unknown.length === 0) return
  throw new ConfigError(
    `the database was made by another version of Callbox: it has ${unknown.join(', ')}, which this one does not know; ` +
      'use that version with it, or this one with a new database',
  )
}

async function installQueue(url: string): Promise<void> {
  const boss = new PgBoss({ connectionString: url, max: 2, supervise: false, schedule: false, registerInstance: false })
  boss.on('error', () => undefined)
  await boss.start()
  await boss.stop({ graceful: false })
}
