import type { Knex } from 'knex'

/**
 * Records attempts and moves their deliveries on, in one statement.
 *
 * The fence is the version: a due row is deleted or updated only while it has the version that was read. The attempts are
 * inserted regardless, under ids made before sending: what was sent is on record even when the lease was lost, and
 * the settle can be repeated when its commit was not acknowledged. Only a repetition checks for existing attempts.
 *
 * Returns the deliveries that it did not change (`superseded`), nearly always none, and the routes on which a delivery
 * waited for one of these (`freed`). On a repetition, a delivery that the unacknowledged first run moved on is not
 * superseded: its attempt is already recorded, and its due row is gone or has the next version.
 */
const settle = (onConflict: string, isDone: string): string => `
  return query
  with settled as materialized (
    select * from unnest($1)
  ), recorded as (
    insert into callbox.webhook_attempts (
      business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code, error, response_excerpt
    )
    select business_id, delivery_id, attempt_id, number, to_timestamp(started_ms / 1000), duration_ms, url, result,
           status_code, error, response_excerpt
    from settled
    where attempt_id is not null
    ${onConflict}
  ), matched as materialized (
    select s.*, d.place
    from settled s
    cross join lateral (
      select d.ctid as place
      from callbox.webhook_due d
      where d.business_id = s.business_id and d.id = s.delivery_id and d.version = s.version
      limit 1
    ) d
  ), ended as materialized (
    delete from callbox.webhook_due d
    using matched m
    where d.ctid = any(array(select m.place from matched m where m.status <> 'pending'))
      and m.delivery_id::text = d.id::text
      and m.business_id = d.business_id + 0
      and m.version = d.version + 0
    returning d.business_id, d.id, d.direction, m.status, m.reason,
              d.attempt_count + (m.attempt_id is not null)::integer as attempt_count
  ), postponed as (
    update callbox.webhook_due d
    set version = d.version + 1,
        attempt_count = d.attempt_count + (m.attempt_id is not null)::integer,
        step = m.step,
        due_at = now() + m.wait_ms * interval '1 millisecond'
    from matched m
    where d.ctid = any(array(select m.place from matched m where m.status = 'pending'))
      and m.delivery_id::text = d.id::text
      and m.business_id = d.business_id + 0
      and m.version = d.version + 0
    returning d.business_id, d.id
  ), buried as (
    insert into callbox.webhook_dead_letters (
      business_id, id, status, reason, attempt_count, finished_at, direction, created_at
    )
    select e.business_id, e.id, e.status, e.reason, e.attempt_count, now(), e.direction, coalesce(o.created_at, now())
    from ended e
    left join callbox.webhook_outbox o on o.business_id = e.business_id and o.id = e.id
    where e.status <> 'delivered'
    on conflict do nothing
  )
  select 'freed', d.business_id || ':' || d.direction
  from ended e
  join callbox.webhook_due d on d.business_id = e.business_id and d.after = e.id and d.after is not null
  union all
  select 'superseded', s.delivery_id::text
  from settled s
  where not exists (select from ended e where e.business_id = s.business_id and e.id = s.delivery_id)
    and not exists (select from postponed p where p.business_id = s.business_id and p.id = s.delivery_id)
    ${isDone};`

const moved = `and not (
      (s.attempt_id is null or not exists (select from recorded r where r.id = s.attempt_id))
      and case s.status
        when 'pending' then exists (
          select from callbox.webhook_due d
          where d.business_id = s.business_id and d.id = s.delivery_id and d.version = s.version + 1)
        when 'delivered' then not exists (
          select from callbox.webhook_due d where d.business_id = s.business_id and d.id = s.delivery_id)
        else exists (
          select from callbox.webhook_dead_letters l
          where l.business_id = s.business_id and l.id = s.delivery_id and l.status = s.status)
      end)`

/**
 * `callbox_settle`, called by dispatchers only. Due rows come and go so fast that statistics are always wrong, and a plan
 * that reads the whole table instead of the keys would be kept for minutes. So the rows are found one by one (a lateral
 * subquery with a limit) and changed by their place (`ctid`); the conditions with `::text` and `+ 0` match no index on
 * purpose (bench/NOTES.md, "callbox_settle"). A function keeps its plan behind any pooler, a prepared statement does not.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create function callbox.callbox_settle(callbox.webhook_settlement[], is_repeated boolean)
    returns table (what text, name text)
    language plpgsql
    set enable_seqscan = off
    as $$
    #variable_conflict use_column
    begin
      if not is_repeated then
        ${settle('', '')}
      else
        ${settle('on conflict do nothing returning webhook_attempts.id', moved)}
      end if;
    end
    $$;
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop function callbox.callbox_settle(callbox.webhook_settlement[], boolean)')
}
