import type { Knex } from 'knex'
import type { OverviewStep } from './schemas/overview.ts'

export interface OverviewReading {
  readAt: Date
  /** Delivered: of the newest {@link mostEnded} events enqueued within an hour. Failed: within an hour, up to as many. */
  ended: { delivered: number; failed: number; looked: number }
  dispatchers: { id: string; host: string; startedAt: string; beat: string; leaving: boolean; slots: number }[]
  slotsFree: number
  steps: OverviewStep[]
}

export const mostEnded = 100_000
const mostCalls = 1_000
/** In milliseconds; a page waits no longer. */
const statementTimeoutMs = 4_000

/**
 * Events of the last hour are read from the head of the index by age, dead letters by their end. Calls are read by the index of those that are
 * not completed, and each one's steps by its key. With 5 million deliveries, 38,000 of them ended in the last hour, and
 * 2 million calls: 0.1 s on a 2-core machine that had other work too.
 */
const readAll = `
  with recent as materialized (
    select business_id, id from callbox.webhook_outbox
    where created_at > now() - interval '1 hour'
    order by created_at desc
    limit :mostEnded
  ), delivered as (
    select from recent o
    where not exists (select from callbox.webhook_due d where d.business_id = o.business_id and d.id = o.id)
      and not exists (select from callbox.webhook_dead_letters l where l.business_id = o.business_id and l.id = o.id)
  ), failed as (
    select from callbox.webhook_dead_letters
    where finished_at > now() - interval '1 hour' and status = 'failed'
    limit :mostEnded
  ), calls_at_work as (
    (select business_id, call_sid, state from callbox.calls
     where state = 'processing'
     order by created_at desc, call_sid desc
     limit :mostCalls)
    union all
    select business_id, call_sid, state
    from (select business_id, call_sid, state, failed_at from callbox.calls
          where state = 'failed'
          order by created_at desc, call_sid desc
          limit :mostCalls) newest
    where failed_at > now() - interval '1 day'
  ), at_step as (
    select c.state, s.step, s.error, s.started_at
    from calls_at_work c
    cross join lateral (
      select step, error, started_at from callbox.call_steps
      where business_id = c.business_id and call_sid = c.call_sid and finished_at is null
      order by started_at desc
      limit 1
    ) s
  )
  select
    now() as "readAt",
    (select json_build_object(
       'delivered', (select count(*) from delivered),
       'failed', (select count(*) from failed),
       'looked', greatest((select count(*) from recent), (select count(*) from failed)))) as ended,
    (select coalesce(json_agg(json_build_object(
       'id', d.id, 'host', d.host, 'beat', d.beat::text, 'leaving', d.leaving,
       'startedAt', to_char(d.started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       'slots', (select count(*) from callbox.slots s where s.owner = d.id)
     ) order by d.started_at, d.id), '[]')
     from callbox.dispatchers d) as dispatchers,
    (select count(*)::integer from callbox.slots where owner is null) as "slotsFree",
    (select json_agg(json_build_object(
       'step', all_steps.step,
       'running', (select count(*) from at_step a where a.step = all_steps.step and a.state = 'processing'),
       'retried', (select count(*) from at_step a
                   where a.step = all_steps.step and a.state = 'processing' and a.error is not null),
       'failed', (select count(*) from at_step a where a.step = all_steps.step and a.state = 'failed'),
       'last_error', (select a.error from at_step a
                      where a.step = all_steps.step and a.error is not null order by a.started_at desc limit 1)
     ) order by all_steps.place)
     from unnest(array['audio', 'transcript', 'summary', 'extraction', 'completion'])
          with ordinality as all_steps (step, place)) as steps`

/** @throws Error when the database is away or takes longer than 4 s. */
export async function readOverviewState(knex: Knex): Promise<OverviewReading> {
  return knex.transaction(async (trx) => {
    await trx.raw(`set local statement_timeout = ${statementTimeoutMs}`)
    const { rows } = await trx.raw<{ rows: OverviewReading[] }>(readAll, { mostEnded, mostCalls })
    const [reading] = rows
    if (reading === undefined) throw new Error('the overview was read without an answer')
    return reading
  })
}
