import type { Logger } from '../telemetry/logger.ts'
import type { GuardedClientConfig } from './guarded-client.ts'
import { GuardedPool } from './guarded-pool.ts'
import { schemaOfConnections } from './schema.ts'

/** How long a statement may take before its connection is given up, in milliseconds. */
export const statementDeadlineMs = 10_000
const maxConnectMs = 5_000
const maxLifeSeconds = 30 * 60

export interface PoolLimits {
  max: number
  /** 0: as long as it takes. */
  deadlineMs?: number
  /** How long a caller waits while all connections are in use, in milliseconds. */
  waitMs?: number
  lifeSeconds?: number
}

/** What every connection has: keepalive, so that a vanished host is noticed, and deadlines, so that nothing waits for it. */
export function connectionSettings(url: string, applicationName: string): GuardedClientConfig {
  return {
    connectionString: url,
    application_name: applicationName,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    connectionTimeoutMillis: maxConnectMs,
    query_timeout: statementDeadlineMs,
  }
}

/** A pool whose connections can write, with deadlines for everything. */
export function createGuardedPool(
  url: string,
  applicationName: string,
  limits: PoolLimits,
  log: Logger | null,
): GuardedPool {
  const { max, deadlineMs = statementDeadlineMs, waitMs = maxConnectMs, lifeSeconds = maxLifeSeconds } = limits
  const config = {
    ...connectionSettings(url, applicationName),
    query_timeout: deadlineMs,
    connectionTimeoutMillis: waitMs,
    connectMs: Math.min(waitMs, maxConnectMs),
    max,
    idleTimeoutMillis: 30_000,
    maxLifetimeSeconds: lifeSeconds,
  }
  return new GuardedPool(config, log)
}

/** A plan lives as long as its connection, and one made for empty tables must not live long. */
const planLifeSeconds = 60

/** A pool for plain SQL, and for statements whose plans are kept (see `PlannedStatement`). */
export function createPool(
  url: string,
  schema: string,
  applicationName: string,
  max: number,
  log: Logger,
): GuardedPool {
  const pool = createGuardedPool(url, applicationName, { max, lifeSeconds: planLifeSeconds }, log)
  pool.on('connect', schemaOfConnections(schema))
  return pool
}
