import type { BenchDatabase } from './database.ts'

const eventsPerFill = 500_000

/**
 * Writes events of a year, oldest first, in the order of time as `callbox_enqueue` would have: delivered ones with an
 * attempt each. Every thousandth is a dead letter, every thousandth pending; every tenth goes out, and one in a million has
 * an event type of its own. Payloads are small: lists do not read them.
 */
export async function fillEvents(
  database: BenchDatabase,
  businesses: number,
  count: number,
  say: (text: string) => void,
): Promise<void> {
  for (let first = 1; first <= count; first += eventsPerFill) {
    const last = Math.min(count, first + eventsPerFill - 1)
    await database.pool.query(fill, [first, last, count, businesses])
    say(`${last.toLocaleString('en')} of ${count.toLocaleString('en')} events are written`)
  }
}

const fill = `
  with event as materialized (
    select n, 1 + n % $4::integer as business_id, 'CA' || md5(n::text) as call_sid,
           case when n % 1000000 = 1 then 'call.rare' else 'call.completed' end as event_type,
           case when n % 10 = 3 then 'outbound' else 'inbound' end as direction,
           now() - interval '365 days' * (1 - n / $3::float8) as at,
           case n % 1000 when 7 then 'failed' when 13 then 'skipped' when 501 then 'pending' else 'delivered' end as status
    from generate_series($1::integer, $2::integer) as n
  ), enqueued as (
    insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, created_at, payload)
    select business_id, callbox.callbox_delivery_id(business_id, call_sid, event_type), call_sid, event_type, direction, at, '{}'
    from event
    order by n
    returning business_id, id, call_sid, direction, created_at
  ), written as (
    select o.*, e.status from enqueued o join event e using (call_sid)
  ), due as (
    insert into callbox.webhook_due (business_id, id, direction, bytes, due_at)
    select business_id, id, direction, 2, created_at from written where status = 'pending'
  ), dead as (
    insert into callbox.webhook_dead_letters (
      business_id, id, status, reason, attempt_count, finished_at, direction, created_at
    )
    select business_id, id, status, 'HTTP 400', 1, created_at, direction, created_at
    from written where status in ('failed', 'skipped')
  )
  insert into callbox.webhook_attempts (
    business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code, response_excerpt
  )
  select business_id, id, gen_random_uuid(), 1, created_at, 12, 'http://127.0.0.1:9/' || business_id, 'ok', 200, 'ok'
  from written where status = 'delivered'`
