import type { Knex } from 'knex'
import type { RouteAnswer, RoutePerformance } from './schemas/route.ts'

type RouteKey = Pick<RouteAnswer, 'business_id' | 'direction'>

interface PerformanceRow extends RouteKey {
  attempts: number
  ok: number
  p95_ms: number
}

/** Of all routes together: what is looked through costs the same however many rows there are. */
const newestDeliveries = 50_000
const deliveriesOfRoute = 200
const attemptsOfDelivery = 10

const unknown: RoutePerformance = { recent_attempts: 0, success_rate: null, p95_ms: null }

/**
 * No index has a route's attempts in the order of their times, and another index would cost the dispatcher at every settle.
 * So the newest events of all routes are searched for those of the requested routes.
 */
const read = `
  with newest as materialized (
    select business_id, id, direction, created_at
    from callbox.webhook_outbox
    order by created_at desc, id desc
    limit ${newestDeliveries}
  ), ranked as (
    select n.business_id, n.id, n.direction,
           row_number() over (partition by n.business_id, n.direction order by n.created_at desc) as place
    from newest n
    join unnest(?::bigint[], ?::text[]) as wanted (business_id, direction) using (business_id, direction)
    where not exists (
        select from callbox.webhook_due d where d.business_id = n.business_id and d.id = n.id and d.attempt_count = 0)
      and not exists (
        select from callbox.webhook_dead_letters l
        where l.business_id = n.business_id and l.id = n.id and l.attempt_count = 0)
  )
  select r.business_id, r.direction,
         count(*)::integer as attempts,
         count(*) filter (where a.result = 'ok')::integer as ok,
         percentile_disc(0.95) within group (order by a.duration_ms) as p95_ms
  from ranked r
  cross join lateral (
    select result, duration_ms from callbox.webhook_attempts
    where business_id = r.business_id and delivery_id = r.id
    order by number desc
    limit ${attemptsOfDelivery}
  ) a
  where r.place <= ${deliveriesOfRoute}
  group by r.business_id, r.direction`

/**
 * Judges routes by the last attempts of each of their 200 newest deliveries that were tried, as far as those are among
 * the 50,000 newest of all.
 */
export async function routePerformance(
  knex: Knex,
  routes: readonly RouteKey[],
): Promise<(route: RouteKey) => RoutePerformance> {
  if (routes.length === 0) return () => unknown
  const { rows } = await knex.raw<{ rows: PerformanceRow[] }>(read, [
    routes.map((route) => route.business_id),
    routes.map((route) => route.direction),
  ])
  const found = new Map(
    rows.map((row) => [
      nameOf(row),
      { recent_attempts: row.attempts, success_rate: row.ok / row.attempts, p95_ms: row.p95_ms },
    ]),
  )
  return (route) => found.get(nameOf(route)) ?? unknown
}

const nameOf = ({ business_id: businessId, direction }: RouteKey): string => `${businessId} ${direction}`
