import type { Direction } from '../../src/outbox/routing.ts'
import type { BenchDatabase } from './database.ts'
import { payload } from './payload.ts'

/**
 * Writes due deliveries as `callbox_enqueue` does, in one statement, the routes taking turns.
 *
 * @param rowsEach for each route.
 * @param series makes the calls of one fill others than those of the next.
 * @param body the payload of each.
 */
export async function fillOutbox(
  database: BenchDatabase,
  businesses: readonly number[],
  rowsEach: number,
  series: string,
  directions: readonly Direction[] = ['inbound'],
  body = payload,
): Promise<void> {
  await database.pool.query(
    `with enqueued as (
       insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, payload)
       select business_id, callbox.callbox_delivery_id(business_id, call_sid, 'call.completed'), call_sid, 'call.completed',
              direction, $4::json
       from generate_series(1, $2::integer) as n
       cross join unnest($1::bigint[]) as b (business_id)
       cross join unnest($5::text[]) as d (direction)
       cross join lateral (select 'CA' || md5($3 || n || direction || business_id) as call_sid) as call
       returning business_id, id, direction
     )
     insert into callbox.webhook_due (business_id, id, direction, bytes)
     select business_id, id, direction, octet_length($4::text) from enqueued`,
    [businesses, rowsEach, series, body, directions],
  )
}

/** Writes deliveries that were made in the last 30 days, at their first attempt, which is written too. */
export async function fillDelivered(
  database: BenchDatabase,
  businesses: readonly number[],
  rowsEach: number,
  url: string,
): Promise<void> {
  await database.pool.query(
    `with delivered as (
       insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, created_at, payload)
       select business_id, callbox.callbox_delivery_id(business_id, call_sid, 'call.completed'), call_sid, 'call.completed',
              'inbound', at, $4::json
       from generate_series(1, $2::integer) as n
       cross join unnest($1::bigint[]) as b (business_id)
       cross join lateral (
         select 'CA' || md5('kept' || n || ':' || business_id) as call_sid,
                now() - interval '30 days' * (1 - n / $2::float8) as at
       ) as call
       returning business_id, id, created_at
     )
     insert into callbox.webhook_attempts (
       business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code, response_excerpt
     )
     select business_id, id, gen_random_uuid(), 1, created_at, 12, $3 || '/' || business_id, 'ok', 200, 'ok'
     from delivered`,
    [businesses, rowsEach, url, payload],
  )
}

/** Writes deliveries that have failed, oldest first. */
export async function fillDeadLetters(
  database: BenchDatabase,
  businesses: readonly number[],
  rowsEach: number,
): Promise<void> {
  await database.pool.query(
    `with event as (
       insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, created_at, payload)
       select business_id, callbox.callbox_delivery_id(business_id, call_sid, 'call.completed'), call_sid, 'call.completed',
              'inbound', now() - interval '1 day' * (1 - n / $2::float8), $3::json
       from generate_series(1, $2::integer) as n
       cross join unnest($1::bigint[]) as b (business_id)
       cross join lateral (select 'CA' || md5('dead' || n || ':' || business_id) as call_sid) as call
       returning business_id, id, direction, created_at
     )
     insert into callbox.webhook_dead_letters (
       business_id, id, status, reason, attempt_count, finished_at, direction, created_at
     )
     select business_id, id, 'failed', 'HTTP 400', 8, created_at, direction, created_at from event`,
    [businesses, rowsEach, payload],
  )
}

export async function countPending(database: BenchDatabase, businesses: readonly number[]): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>(database.version.countPending, [businesses])
  return rows[0]?.n ?? 0
}
