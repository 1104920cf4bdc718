import pg from 'pg'
import type { Logger } from '../telemetry/logger.ts'
import { schemaOfConnections } from './schema.ts'

/** How long a statement may take before its connection is given up, in milliseconds. */
const statementDeadlineMs = 10_000

/** A plan lives as long as its connection, and one that was made for empty tables must not live long. */
const longestLifeSeconds = 60

/** What every connection has: keepalive, so that a vanished host is noticed, and deadlines, so that nothing waits for it. */
export function connectionSettings(url: string, applicationName: string) {
  return {
    connectionString: url,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    connectionTimeoutMillis: 5_000,
    query_timeout: statementDeadlineMs,
  }
}

/**
 * A pool for plain SQL. A statement that misses its deadline rejects and its connection is destroyed, so its caller can
 * repeat it on another.
 */
export function createPool(url: string, schema: string, applicationName: string, max: number, log: Logger): pg.Pool {
  const lives = { idleTimeoutMillis: 30_000, maxLifetimeSeconds: longestLifeSeconds }
  const pool = new pg.Pool({ ...connectionSettings(url, applicationName), max, ...lives })
  pool.on('connect', schemaOfConnections(schema))
  pool.on('error', (err) => log.warn({ event: 'database.connection_lost', err }, 'a database connection was lost'))
  return pool
}
