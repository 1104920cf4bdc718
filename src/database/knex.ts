import knex, { type Knex } from 'knex'
import type { Logger } from '../telemetry/logger.ts'
import type { GuardedPool } from './guarded-pool.ts'
import { createGuardedPool, statementDeadlineMs } from './pool.ts'
import { schemaOfConnections } from './schema.ts'

const ignore = (): void => undefined
const pools = new WeakMap<object, GuardedPool>()

/** Options of a knex; a deadline of 0 means none. */
export interface KnexOptions {
  deadlineMs?: number
  log?: Logger
}

/** knex, for migrations, admin filters and the transactions of the pipeline; the dispatcher's hot path speaks `pg`. */
export function createKnex(
  url: string,
  schema: string,
  applicationName: string,
  max: number,
  options: KnexOptions = {},
): Knex {
  const { deadlineMs = statementDeadlineMs, log = null } = options
  const pool = createGuardedPool(url, applicationName, { max, deadlineMs, waitMs: 10_000 }, log)
  pool.on('connect', schemaOfConnections(schema))
  const database = knex({
    client: 'pg',
    connectionPool: pool,
    // Else the message of every failed statement carries its values: phone numbers, transcripts.
    compileSqlOnError: false,
    // It would write to the console, past our log; what matters of it is also thrown.
    log: { warn: ignore, error: ignore, deprecate: ignore, debug: ignore },
  })
  pools.set(database, pool)
  // knex does not close a pool that was passed to it.
  const client: { destroy(callback?: () => void): Promise<void> } = database.client
  const destroy = client.destroy.bind(client)
  // The pool first: once destroyed, knex no longer releases the connections of running statements.
  client.destroy = async () => {
    if (!pool.ending) await pool.end()
    await destroy()
  }
  return database
}

/** The pool behind a knex of {@link createKnex}. */
export function poolOf(database: Knex): GuardedPool {
  const pool = pools.get(database)
  if (pool === undefined) throw new Error('this knex was not made by createKnex')
  return pool
}
