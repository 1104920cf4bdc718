import type { Knex } from 'knex'
import { schedule } from 'node-cron'
import { lockKind } from '../calls/locks.ts'
import { fullTime } from '../database/time-place.ts'
import { findUnaccounted, forgetAccounted, rememberUnaccounted } from '../outbox/accounting.ts'
import type { Logger } from '../telemetry/logger.ts'

interface AccountingDependencies {
  knex: Knex
  log: Logger
}

/** Not on the full hour, when most timers run. */
const everyHour = '41 * * * *'
/** A transaction may commit this long after its events were created; until then they are examined again. */
const overlap = '1 hour'
const installationKey = 'accounted_until'

/** Examines each hour what was enqueued since the last time. Every API process may run it; only one does the work. */
export function startAccounting(dependencies: AccountingDependencies): { stop(): Promise<void> } {
  let running: Promise<unknown> = Promise.resolve()
  const task = schedule(
    everyHour,
    () => {
      running = account(dependencies).catch((err: unknown) => {
        dependencies.log.warn(
          { event: 'accounting.failed', err },
          'the outbox could not be examined; the next try is in an hour',
        )
      })
      return running
    },
    { name: 'accounting', noOverlap: true, timezone: 'Etc/UTC', suppressMissedWarning: true },
  )
  return {
    async stop() {
      await task.destroy()
      await running
    },
  }
}

/** @returns how many events are unaccounted for, `null`: another process is examining. */
export async function account({ knex, log }: AccountingDependencies): Promise<number | null> {
  const found = await knex.transaction(async (trx) => {
    const { rows } = await trx.raw<{ rows: { taken: boolean; now: string }[] }>(
      `select pg_try_advisory_xact_lock(${lockKind.accounting}, 0) as taken, ${fullTime('clock_timestamp()')} as now`,
    )
    const [lock] = rows
    if (!lock?.taken) return null
    await forgetAccounted(trx)
    await findUnaccounted(trx, await sinceWhen(trx), ({ unaccounted }) => rememberUnaccounted(trx, unaccounted))
    await trx('callbox.installation')
      .insert({ key: installationKey, value: lock.now })
      .onConflict('key')
      .merge({ value: lock.now })
    return Number((await trx('callbox.webhook_unaccounted').count<{ count: string }[]>())[0]?.count ?? 0)
  })
  if (found !== null && found > 0) {
    log.error({ event: 'accounting.unaccounted', events: found }, 'events are unaccounted for: run callbox check')
  }
  return found
}

/** `null`: nothing has been examined yet. */
async function sinceWhen(trx: Knex.Transaction): Promise<string | null> {
  const { rows } = await trx.raw<{ rows: { since: string }[] }>(
    `select ${fullTime(`value::timestamptz - interval '${overlap}'`)} as since from callbox.installation where key = ?`,
    [installationKey],
  )
  return rows[0]?.since ?? null
}
