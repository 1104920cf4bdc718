/**
 * Records attempts and moves their deliveries on, in one statement.
 *
 * The update is the fence: it changes a delivery only while it is pending at the version that was read. The attempts go
 * in regardless, under ids that were made before sending: what was sent is on record even when the lease was lost, and
 * the statement may be repeated when its commit was not heard. Only a repetition minds what is there already: looking for
 * it costs PostgreSQL 2 of 46 µs an attempt.
 *
 * `not in` says the same as `status = 'pending'`, which the index of what is due would answer to: wherever statistics
 * say that little is pending, PostgreSQL 18 reads all of that index instead of the key (400,000 pending, a batch of 300:
 * 114 s on a busy machine).
 *
 * Returns the deliveries that it did not change: nearly always none. Of a repetition those are no others' work that the
 * first run has changed already: they are where it would have brought them, and it recorded their attempts.
 */
const settle = (onConflict: string, alsoChanged: string): string => `
  with settled as materialized (
    select * from unnest($1::callbox.webhook_settlement[])
  ), recorded as (
    insert into callbox.webhook_attempts (
      business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code, error, response_excerpt
    )
    select business_id, delivery_id, attempt_id, number, to_timestamp(started_ms / 1000), duration_ms, url, result,
           status_code, error, response_excerpt
    from settled
    where attempt_id is not null
    ${onConflict}
  ), changed as (
    update callbox.webhook_outbox o
    set version = o.version + 1,
        status = s.status,
        reason = s.reason,
        attempt_count = o.attempt_count + (s.attempt_id is not null)::integer,
        step = s.step,
        due_at = case when s.status = 'pending' then now() + s.wait_ms * interval '1 millisecond' else o.due_at end,
        finished_at = case when s.status = 'pending' then null else now() end
    from settled s
    where o.business_id = s.business_id
      and o.id = s.delivery_id
      and o.status not in ('delivered', 'failed', 'skipped')
      and o.version = s.version
    returning o.id
  )
  select delivery_id as id from settled
  except
  select id from changed
  ${alsoChanged}`

export const settleDeliveries = settle('', '')

export const settleAgain = settle(
  'on conflict do nothing returning id',
  `except
  select o.id
  from settled s
  join callbox.webhook_outbox o on o.business_id = s.business_id and o.id = s.delivery_id
  where o.version = s.version + 1
    and o.status = s.status
    and (s.attempt_id is null or not exists (select from recorded where recorded.id = s.attempt_id))`,
)
