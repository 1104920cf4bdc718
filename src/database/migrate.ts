import { setTimeout as sleep } from 'node:timers/promises'
import type { Knex } from 'knex'
import { PgBoss } from 'pg-boss'
import { ConfigError } from '../config.ts'
import { createKnex } from './knex.ts'
import { createGuardedPool } from './pool.ts'
import { jobsSchema } from './schema.ts'
import { migrationsDirectory, migrationsTable, unknownMigrations } from './schema-version.ts'

/** The first key of the lock; the second is of the schema, so that each Callbox of a database waits for its own alone. */
const migrationLock = 7_000_001

/** How often the lock is tried while another migration holds it, in milliseconds. */
const lockPollMs = 500

/**
 * Brings the schema to what this version knows, pg-boss's included; one process at a time, others wait.
 *
 * The lock is held by an open transaction on a connection of its own: it also works through PgBouncer in transaction
 * mode, and a `kill -9` frees it. knex's own lock is a row that a `kill -9` leaves behind, so it is cleared first.
 *
 * Neither statements nor the wait for the lock have a time limit.
 *
 * @param say called with a message while it waits.
 * @returns the names of the migrations that were applied.
 * @throws {ConfigError} for a database of another version.
 */
export async function migrate(
  url: string,
  schema: string,
  say: (line: string) => void = () => undefined,
): Promise<string[]> {
  const knex = createKnex(url, schema, 'callbox migrate', 3, { deadlineMs: 0 })
  const migrations = {
    directory: migrationsDirectory,
    loadExtensions: ['.ts'],
    schemaName: schema,
    tableName: migrationsTable,
  }
  try {
    return await knex.transaction(async (lock) => {
      await takeLock(lock, schema, say)
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

/** Polls, so that a lost connection is noticed. */
async function takeLock(trx: Knex.Transaction, schema: string, say: (line: string) => void): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const { rows } = await trx.raw<{ rows: { taken: boolean }[] }>(
      'select pg_try_advisory_xact_lock(?, hashtext(?)) as taken',
      [migrationLock, schema],
    )
    if (rows[0]?.taken === true) return
    if (tries === 0) say('waiting: another callbox migrate is running on this database')
    await sleep(lockPollMs)
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
  const pool = createGuardedPool(url, 'callbox migrate', { max: 2, deadlineMs: 0 }, null)
  const boss = new PgBoss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    schema,
    createSchema: false,
    supervise: false,
    schedule: false,
    registerInstance: false,
  })
  boss.on('error', () => undefined)
  try {
    await boss.start()
  } finally {
    await boss.stop({ graceful: false })
    await pool.end()
  }
}
