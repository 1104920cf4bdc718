import type { Knex } from 'knex'
import { schedule } from 'node-cron'
import type { Config } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import { batches, batchSize, takeRetentionLock } from './retention-statements.ts'

interface RetentionParts {
  config: Pick<Config, 'retentionDays'>
  knex: Knex
  log: Logger
}

/** Each hour, away from the full hour when everybody's timers run. */
const everyHour = '23 * * * *'

/** Takes each hour what is older than `RETENTION_DAYS`. Every API process may run it: one at a time does the work. */
export function startRetention(parts: RetentionParts): { stop(): Promise<void> } {
  const stopping = new AbortController()
  let running: Promise<unknown> = Promise.resolve()
  const task = schedule(
    everyHour,
    () => {
      running = retain(parts, stopping.signal).catch((err: unknown) => {
        parts.log.warn({ event: 'retention.failed', err }, 'retention did not finish; it is tried again in an hour')
      })
      return running
    },
    { name: 'retention', noOverlap: true, timezone: 'Etc/UTC', suppressMissedWarning: true },
  )
  return {
    async stop() {
      stopping.abort()
      await task.destroy()
      await running
    },
  }
}

/**
 * Takes everything that is old enough, batch by batch, each in a transaction of its own and under a lock that ends with
 * it; leaves the rest to another process when that one holds the lock.
 *
 * @returns how many rows it took of each kind.
 */
export async function retain(parts: RetentionParts, stopping: AbortSignal): Promise<Record<string, number>> {
  const taken: Record<string, number> = {}
  for (const [kind, batch] of Object.entries(batches)) {
    let last = batchSize
    while (last === batchSize && !stopping.aborted) {
      last = await parts.knex.transaction(async (trx) =>
        (await takeRetentionLock(trx)) ? batch(trx, parts.config.retentionDays) : 0,
      )
      taken[kind] = (taken[kind] ?? 0) + last
    }
  }
  if (Object.values(taken).some((count) => count > 0)) {
    parts.log.info({ event: 'retention.done', ...taken }, 'what was older than RETENTION_DAYS has been taken')
  }
  return taken
}
