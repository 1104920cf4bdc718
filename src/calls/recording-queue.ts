import type { Knex } from 'knex'
import pRetry from 'p-retry'
import { fromKnex, PgBoss } from 'pg-boss'
import { isDatabaseAway } from '../database/away.ts'
import type { GuardedPool } from '../database/guarded-pool.ts'
import { createGuardedPool } from '../database/pool.ts'
import { jobsSchema } from '../database/schema.ts'
import type { Logger } from '../telemetry/logger.ts'

/** The work of one call whose recording is stored. */
export type RecordingJob = { businessId: string; callSid: string }

export interface RecordingSender {
  /** The job exists when, and only when, `trx` commits. */
  send(trx: Knex.Transaction, job: RecordingJob): Promise<void>
}

/** Of two jobs of one CallSid one runs at a time: pg-boss's policy `singleton`, by the job's `singletonKey`. */
export const recordingQueue = 'recordings'

/**
 * A job ends in pg-boss's own retry only when its worker died or could not reach the database; then it runs again
 * after a second, however often that happened. Outages of others are waited out by the pipeline's own backoff, which
 * sends the job anew. So nothing is left to pg-boss's limits: they are set where they are never reached.
 */
const queueSettings = {
  /** pg-boss's least. A worker beats every 5 s; see `supervision` for who notices that it stopped. */
  heartbeatSeconds: 10,
  expireInSeconds: 3_600,
  retryLimit: 1_000_000,
  retryDelay: 1,
  retryBackoff: false,
  retentionSeconds: 365 * 86_400,
  deleteAfterSeconds: 86_400,
}

/**
 * A worker looks for jobs of dead workers every 3 s (pg-boss's default is every 60 s). After `kill -9` a job runs again
 * after at most 10 s of missing heartbeats, 3 to 6 s until that is seen, the retry's second and the poll's second.
 */
const supervision = { supervise: true, superviseIntervalSeconds: 3, monitorIntervalSeconds: 3, monitorVacuum: false }

/** Errors of one outage, and warnings, are logged at most this often, in milliseconds. */
const logIntervalMs = { error: 10_000, warning: 600_000 }

/** Sends recording jobs. Of pg-boss's many timers it runs only the one that refreshes its knowledge of queues. */
export class RecordingQueue implements RecordingSender {
  readonly #boss: PgBoss
  readonly #pool: GuardedPool

  constructor(databaseUrl: string, schema: string, log: Logger) {
    this.#pool = bossPool(databaseUrl, log, 'send')
    this.#boss = openBoss(this.#pool, schema, log, 'send')
  }

  /**
   * Connects, and makes sure that the queue exists with the settings of this version.
   *
   * @throws Error when the database is away or lacks pg-boss's schema.
   */
  async start(): Promise<void> {
    await startBoss(this.#boss)
  }

  async send(trx: Knex.Transaction, job: RecordingJob): Promise<void> {
    await sendJob(this.#boss, trx, job, 0)
  }

  async stop(): Promise<void> {
    await this.#boss.stop({ graceful: false })
    await this.#pool.end()
  }
}

/** The connections of a pg-boss; end them once it has stopped. */
export function bossPool(databaseUrl: string, log: Logger, purpose: 'send' | 'work'): GuardedPool {
  return createGuardedPool(databaseUrl, `callbox queue (${purpose})`, { max: purpose === 'work' ? 4 : 2 }, log)
}

/** A pg-boss that never brings its process down: what it cannot do now is logged and done by its next timer. */
export function openBoss(pool: GuardedPool, schema: string, log: Logger, purpose: 'send' | 'work'): PgBoss {
  const boss = new PgBoss({
    db: { executeSql: (text, values) => pool.query(text, values) },
    schema: jobsSchema(schema),
    schedule: false,
    migrate: false,
    registerInstance: false,
    ...(purpose === 'work' ? supervision : { supervise: false }),
  })
  const loggedAt = { error: Number.NEGATIVE_INFINITY, warning: Number.NEGATIVE_INFINITY }
  const isTime = (kind: keyof typeof loggedAt): boolean => {
    if (performance.now() - loggedAt[kind] < logIntervalMs[kind]) return false
    loggedAt[kind] = performance.now()
    return true
  }
  boss.on('error', (error) => {
    // Some of pg-boss's errors are plain objects with an error's fields.
    const err = error instanceof Error ? error : Object.assign(new Error(), error)
    if (isTime('error')) log.warn({ event: 'queue.error', err }, 'the recording queue has trouble')
  })
  boss.on('warning', ({ message }) => {
    if (isTime('warning')) log.warn({ event: 'queue.warning' }, message)
  })
  return boss
}

/** Waits for a database that goes away meanwhile. */
export async function startBoss(boss: PgBoss): Promise<void> {
  const start = async (): Promise<void> => {
    await boss.start()
    await boss.createQueue(recordingQueue, { ...queueSettings, policy: 'singleton' })
    await boss.updateQueue(recordingQueue, queueSettings)
  }
  const shouldRetry = ({ error }: { error: Error }): boolean => isDatabaseAway(error)
  await pRetry(start, { retries: Number.POSITIVE_INFINITY, minTimeout: 500, maxTimeout: 1_000, shouldRetry })
}

/** @param afterMs how long the job waits before it may run, by the database's clock. */
export async function sendJob(boss: PgBoss, trx: Knex.Transaction, job: RecordingJob, afterMs: number): Promise<void> {
  const startAfter = afterMs / 1000
  await boss.send(recordingQueue, job, { db: fromKnex(trx), singletonKey: job.callSid, startAfter })
}
