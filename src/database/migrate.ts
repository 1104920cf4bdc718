import type { Knex } from 'knex'
import { PgBoss } from 'pg-boss'
import { ConfigError } from '../config.ts'
import { createKnex } from './knex.ts'
import { jobsSchema } from './schema.ts'
import { migrationsDirectory, migrationsTable, unknownMigrations } from './schema-version.ts'

/** The first key of the lock; the second is of the schema, so that each Callbox of a database waits for its own alone. */
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
export async function migrate(url: string, schema: string): Promise<string[]> {
  const knex = createKnex(url, schema, 'callbox migrate', 3)
  const migrations = {
    directory: migrationsDirectory,
    loadExtensions: ['.ts'],
    schemaName: schema,
    tableName: migrationsTable,
  }
  try {
    return await knex.transaction(async (lock) => {
      await lock.raw('select pg_advisory_xact_lock(?, hashtext(?))', [migrationLock, schema]).timeout(600_000)
      await refuseUnknown(knex)
      await createSchema(knex, schema)
      await createSchema(knex, jobsSchema(schema))
      await knex.migrate.forceFreeMigrationsLock(migrations)
      const [, applied] = (await knex.migrate.latest(migrations)) as [number, string[]]
      await installQueue(url, jobsSchema(schema))
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

/** `create schema if not exists` demands the right to create one, even if it is there. */
async function createSchema(knex: Knex, schema: string): Promise<void> {
  const { rows } = await knex.raw<{ rows: unknown[] }>('select from pg_catalog.pg_namespace where nspname = ?', [
    schema,
  ])
  if (rows.length === 0) await knex.raw('create schema ??', [schema])
}

async function installQueue(url: string, schema: string): Promise<void> {
  const boss = new PgBoss({
    connectionString: url,
    schema,
    createSchema: false,
    max: 2,
    supervise: false,
    schedule: false,
    registerInstance: false,
  })
  boss.on('error', () => undefined)
  await boss.start()
  await boss.stop({ graceful: false })
}
