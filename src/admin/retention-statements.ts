import type { Knex } from 'knex'
import { lockKind } from '../calls/locks.ts'

/** Takes what is older than `days`, at most {@link batchSize} rows. Returns how many it took. */
export type Batch = (trx: Knex.Transaction, days: number) => Promise<number>

/** Rows that one batch, and so one transaction, takes. */
export const batchSize = 500

/** Only one process runs retention at a time. */
export async function takeRetentionLock(trx: Knex.Transaction): Promise<boolean> {
  const { rows } = await trx.raw<{ rows: { taken: boolean }[] }>(
    `select pg_try_advisory_xact_lock(${lockKind.retention}, 0) as taken`,
  )
  return rows[0]?.taken === true
}

const run = async (trx: Knex.Transaction, sql: string, days: number): Promise<number> => {
  const { rows } = await trx.raw<{ rows: { taken: number }[] }>(sql, { days, batchSize })
  return rows[0]?.taken ?? 0
}

/** An event that is unaccounted for keeps its payload until it is put back. */
const isAccountedFor = `(
  exists (select from callbox.webhook_dead_letters l where l.business_id = o.business_id and l.id = o.id)
  or exists (
    select from callbox.webhook_attempts a
    where a.business_id = o.business_id and a.delivery_id = o.id and a.result = 'ok'))`

/**
 * Payloads and attempts of events that are old enough and not pending, with their last attempt old enough as well. The
 * event stays, and with it the key by which a repetition is recognised; so does a dead letter.
 *
 * The events are locked by a statement of their own: a requeue that held one of them has committed when the next statement
 * looks for its due row.
 */
const takeDeliveries: Batch = async (trx, days) => {
  const { rows: locked } = await trx.raw<{ rows: { business_id: string; id: string }[] }>(
    `select o.business_id, o.id
     from callbox.webhook_outbox o
     where o.created_at < now() - make_interval(days => :days)
       and o.payload is not null
       and not exists (select from callbox.webhook_due d where d.business_id = o.business_id and d.id = o.id)
       and ${isAccountedFor}
       and not exists (
         select from callbox.webhook_attempts a
         where a.business_id = o.business_id and a.delivery_id = o.id
           and a.started_at >= now() - make_interval(days => :days))
       and not exists (
         select from callbox.webhook_dead_letters l
         where l.business_id = o.business_id and l.id = o.id
           and l.finished_at >= now() - make_interval(days => :days))
     order by o.created_at
     limit :batchSize
     for no key update of o skip locked`,
    { days, batchSize },
  )
  if (locked.length === 0) return 0
  await trx.raw(
    `with ended as materialized (
       select k.business_id, k.id
       from unnest(?::bigint[], ?::uuid[]) as k (business_id, id)
       where not exists (select from callbox.webhook_due d where d.business_id = k.business_id and d.id = k.id)
     ), emptied as (
       update callbox.webhook_outbox o set payload = null
       from ended e
       where o.business_id = e.business_id and o.id = e.id
     )
     delete from callbox.webhook_attempts a
     using ended e
     where a.business_id = e.business_id and a.delivery_id = e.id`,
    [locked.map(({ business_id: businessId }) => businessId), locked.map(({ id }) => id)],
  )
  return locked.length
}

/** What was said in calls that were completed long enough ago. */
const takeTexts: Batch = (trx, days) =>
  run(
    trx,
    `with ended as materialized (
       select business_id, call_sid from callbox.calls
       where completed_at < now() - make_interval(days => :days) and transcript is not null and state = 'completed'
       order by completed_at
       limit :batchSize
       for update skip locked
     ), emptied as (
       update callbox.calls c set transcript = null, summary = null, city = null, service_category = null
       from ended e
       where c.business_id = e.business_id and c.call_sid = e.call_sid
     )
     select count(*)::integer as taken from ended`,
    days,
  )

/**
 * What steps left behind, of calls that were completed or failed long enough ago; a failed one that is processed again
 * after that begins anew. The call's row is locked, so that it is not queued again meanwhile.
 */
const takeStepResults: Batch = (trx, days) =>
  run(
    trx,
    `with ended as materialized (
       select s.business_id, s.call_sid, s.step, c.state
       from callbox.call_steps s
       join callbox.calls c on c.business_id = s.business_id and c.call_sid = s.call_sid
       where s.finished_at < now() - make_interval(days => :days) and s.result is not null
         and c.state in ('completed', 'failed')
         and coalesce(c.completed_at, c.failed_at) < now() - make_interval(days => :days)
       order by s.finished_at
       limit :batchSize
       for update of s skip locked
     ), emptied as (
       update callbox.call_steps s
       set result = null,
           finished_at = case when e.state = 'completed' then s.finished_at end
       from ended e
       where s.business_id = e.business_id and s.call_sid = e.call_sid and s.step = e.step
     )
     select count(*)::integer as taken from ended`,
    days,
  )

/** Transcripts of single recordings of such calls; reprocessing transcribes them again. */
const takeRecordingTexts: Batch = (trx, days) =>
  run(
    trx,
    `with old as materialized (
       select r.business_id, r.call_sid, r.recording_sid
       from callbox.call_recordings r
       join callbox.calls c on c.business_id = r.business_id and c.call_sid = r.call_sid
       where r.transcribed_at < now() - make_interval(days => :days) and r.transcript is not null
         and c.state in ('completed', 'failed')
         and coalesce(c.completed_at, c.failed_at) < now() - make_interval(days => :days)
       order by r.transcribed_at
       limit :batchSize
       for update of r skip locked
     ), emptied as (
       update callbox.call_recordings r set transcript = null
       from old o
       where r.business_id = o.business_id and r.call_sid = o.call_sid and r.recording_sid = o.recording_sid
     )
     select count(*)::integer as taken from old`,
    days,
  )

/** Only matched callbacks: unmatched ones are kept until they belong to a business. */
const takeCallbacks: Batch = (trx, days) =>
  run(
    trx,
    `with old as materialized (
       select b.id from callbox.twilio_callbacks b
       where b.state = 'matched' and b.received_at < now() - make_interval(days => :days)
         and not exists (
           select from callbox.calls c
           where c.business_id = b.business_id and c.call_sid = b.call_sid and c.state in ('queued', 'processing'))
       order by b.received_at
       limit :batchSize
       for update of b skip locked
     ), deleted as (
       delete from callbox.twilio_callbacks b using old o where b.id = o.id
     )
     select count(*)::integer as taken from old`,
    days,
  )

/** Facts about legs, which include phone numbers; not while the pipeline may read them. */
const takeLegs: Batch = (trx, days) =>
  run(
    trx,
    `with old as materialized (
       select l.call_sid from callbox.call_legs l
       where l.created_at < now() - make_interval(days => :days)
         and not exists (
           select from callbox.calls c
           where c.call_sid in (l.call_sid, l.parent_call_sid) and c.state in ('queued', 'processing'))
       order by l.created_at
       limit :batchSize
       for update of l skip locked
     ), deleted as (
       delete from callbox.call_legs l using old o where l.call_sid = o.call_sid
     )
     select count(*)::integer as taken from old`,
    days,
  )

/** Former signing secrets whose time is over, however short ago. */
const takeFormerSecrets: Batch = (trx, days) =>
  run(
    trx,
    `with expired as materialized (
       select business_id from callbox.businesses
       where previous_secret_until <= now()
       limit :batchSize
       for update skip locked
     ), emptied as (
       update callbox.businesses b set previous_signing_secret_sealed = null, previous_secret_until = null
       from expired e
       where b.business_id = e.business_id
     )
     select count(*)::integer as taken from expired`,
    days,
  )

/** What operators changed is kept for a year, or for `RETENTION_DAYS` when that is longer: who asks, asks late. */
const takeAudit: Batch = (trx, days) =>
  run(
    trx,
    `with old as materialized (
       select at, id from callbox.audit
       where at < now() - make_interval(days => greatest(:days, 365))
       order by at
       limit :batchSize
       for update skip locked
     ), deleted as (
       delete from callbox.audit a using old o where a.at = o.at and a.id = o.id
     )
     select count(*)::integer as taken from old`,
    days,
  )

/** Bulk requeues that have ended or were stopped are kept as long as the audit, which speaks of them. */
const takeRequeues: Batch = (trx, days) =>
  run(
    trx,
    `with old as materialized (
       select id from callbox.requeues
       where created_at < now() - make_interval(days => greatest(:days, 365)) and state <> 'running'
       order by created_at
       limit :batchSize
       for update skip locked
     ), deleted as (
       delete from callbox.requeues r using old o where r.id = o.id
     )
     select count(*)::integer as taken from old`,
    days,
  )

/** All that retention takes, by the name in its log line. */
export const batches: Readonly<Record<string, Batch>> = {
  deliveries: takeDeliveries,
  transcripts: takeTexts,
  step_results: takeStepResults,
  recording_texts: takeRecordingTexts,
  callbacks: takeCallbacks,
  legs: takeLegs,
  former_secrets: takeFormerSecrets,
  audit: takeAudit,
  requeues: takeRequeues,
}
