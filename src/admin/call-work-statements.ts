import type { Knex } from 'knex'
import { recordingQueue } from '../calls/recording-queue.ts'

export interface CallWorkReading {
  /** Each counted to {@link mostCallsCounted}. */
  calls: Record<'open' | 'queued' | 'processing' | 'failed', number>
  /** Jobs of the recording queue: to be taken now, later, or taken; each counted to {@link mostCallsCounted}. */
  jobs: Record<'due' | 'later' | 'active', number>
  /** How long the job that is due the longest has been so; 0 when none is. */
  oldestDueJobSeconds: number
}

export const mostCallsCounted = 10_000
/** A scrape costs the database no more than this, in milliseconds. */
const statementTimeoutMs = 4_000

/**
 * Completed calls are in none of the indexes that this reads, however many there are; pg-boss's jobs are read by its
 * own index of those that have not ended. A call that has been open for a day has no recording to come.
 */
const readCallWork = `
  select
    (select json_object_agg(s.state, (
       select count(*)::integer from (
         select from callbox.calls c
         where c.state = s.state and c.state <> 'completed' and c.created_at > s.since
         limit :mostCallsCounted) counted))
     from (values
       ('open', now() - interval '1 day'), ('queued', '-infinity'), ('processing', '-infinity'), ('failed', '-infinity')
     ) as s (state, since)) as calls,
    json_build_object(
      'due', (
        select count(*)::integer from (
          select from callbox_jobs.job
          where name = :recordingQueue and state in ('created', 'retry') and not blocked and start_after <= now()
          limit :mostCallsCounted) counted),
      'later', (
        select count(*)::integer from (
          select from callbox_jobs.job
          where name = :recordingQueue and state in ('created', 'retry') and not blocked and start_after > now()
          limit :mostCallsCounted) counted),
      'active', (
        select count(*)::integer from (
          select from callbox_jobs.job where name = :recordingQueue and state = 'active'
          limit :mostCallsCounted) counted)) as jobs,
    (select to_json(coalesce(max(extract(epoch from now() - start_after)), 0))
     from (
       (select start_after from callbox_jobs.job
        where name = :recordingQueue and state = 'created' and not blocked and start_after <= now()
        order by start_after limit 1)
       union all
       (select start_after from callbox_jobs.job
        where name = :recordingQueue and state = 'retry' and not blocked and start_after <= now()
        order by start_after limit 1)
     ) heads) as "oldestDueJobSeconds"`

/** @throws Error when the database is away or takes longer than 4 s. */
export async function readCallWorkState(knex: Knex): Promise<CallWorkReading> {
  return knex.transaction(async (trx) => {
    await trx.raw(`set local statement_timeout = ${statementTimeoutMs}`)
    const { rows } = await trx.raw<{ rows: CallWorkReading[] }>(readCallWork, { mostCallsCounted, recordingQueue })
    const [reading] = rows
    if (reading === undefined) throw new Error('the work on calls was read without an answer')
    return reading
  })
}
