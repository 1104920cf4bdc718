import type { Knex } from 'knex'
import type { Direction } from '../outbox/routing.ts'
import { type BusinessUrls, effectiveUrl } from './business-records.ts'
import { routePerformance } from './route-performance.ts'
import type { RouteAnswer, RouteListQuery, RouteState } from './schemas/route.ts'

interface RouteRow extends BusinessUrls {
  business_id: string
  direction: Direction
  state: RouteAnswer['state']
  state_reason: string | null
  state_since: Date | null
  failing_since: Date | null
  probe_at: Date | null
  waiting: number
  oldest_due_at: Date | null
}

const mostCounted = 10_000

const columns = [
  ...['r.business_id', 'r.direction', 'r.state', 'r.state_reason', 'r.state_since', 'r.failing_since', 'r.probe_at'],
  ...['b.inbound_webhook_url', 'b.outbound_webhook_url', 'b.generic_webhook_url'],
]

/** First attempts and retries have a lane each in the index of what is pending, in the order of their due times. */
const waiting = `
  (select count(*)::integer
   from (select from callbox.webhook_due o
         where o.business_id = r.business_id and o.direction = r.direction
         limit ${mostCounted}) counted) as waiting,
  (select min(o.due_at)
   from (values (0), (1)) as lane (kind)
   cross join lateral (
     select o.due_at from callbox.webhook_due o
     where o.business_id = r.business_id and o.direction = r.direction
       and least(o.attempt_count, 1) = lane.kind and o.due_at <= now()
     order by o.due_at
     limit 1
   ) o) as oldest_due_at`

/** The page is cut before anything is counted for it. */
function routes(knex: Knex, narrow: (page: Knex.QueryBuilder) => void): Knex.QueryBuilder<object, RouteRow[]> {
  const page = knex('callbox.routes').orderBy(['business_id', 'direction'])
  narrow(page)
  return knex(page.as('r'))
    .leftJoin('callbox.businesses as b', 'b.business_id', 'r.business_id')
    .select<RouteRow[]>(...columns, knex.raw(waiting))
    .orderBy(['r.business_id', 'r.direction'])
}

/** By business and direction; from the place after `cursor`. @param limit in place of the query's own. */
export async function listRoutes(knex: Knex, query: RouteListQuery, limit: number): Promise<RouteRow[]> {
  const { state, business_id: businessId, direction, cursor } = query
  return routes(knex, (page) => {
    page.limit(limit)
    if (state !== undefined) page.where({ state })
    if (businessId !== undefined) page.where({ business_id: businessId })
    if (direction !== undefined) page.where({ direction })
    if (cursor) page.whereRaw('(business_id, direction) > (?::bigint, ?)', [cursor.businessId, cursor.direction])
  })
}

export async function findRoute(knex: Knex, businessId: string, direction: Direction): Promise<RouteRow | null> {
  const [row] = await routes(knex, (page) => page.where({ business_id: businessId, direction }))
  return row ?? null
}

/** Those that are not active, the latest of them first. */
export async function listRoutesInTrouble(knex: Knex, limit: number): Promise<RouteRow[]> {
  const rows = await routes(knex, (page) => {
    page.whereNot({ state: 'active' }).clearOrder().orderByRaw('state_since desc nulls last, business_id, direction')
    page.limit(limit)
  })
  return rows.sort((one, other) => Number(other.state_since) - Number(one.state_since))
}

/** What is known of routes, in their order. */
export async function toRoutes(knex: Knex, rows: readonly RouteRow[]): Promise<RouteAnswer[]> {
  const performanceOf = await routePerformance(knex, rows)
  return rows.map((row) => ({ ...toRouteState(row), ...performanceOf(row) }))
}

/** What is known of a route without looking at its attempts. */
export function toRouteState(row: RouteRow): RouteState {
  return {
    business_id: row.business_id,
    direction: row.direction,
    state: row.state,
    reason: row.state_reason,
    since: row.state_since?.toISOString() ?? null,
    failing_since: row.failing_since?.toISOString() ?? null,
    probe_at: row.probe_at?.toISOString() ?? null,
    url: effectiveUrl(row.direction, row),
    waiting: row.waiting,
    oldest_due_at: row.oldest_due_at?.toISOString() ?? null,
  }
}
