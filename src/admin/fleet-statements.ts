import type { Knex } from 'knex'

type ByRouteState = Record<'active' | 'failing', number>

export interface FleetReading {
  /** Counted to {@link mostCounted}. */
  due: number
  /** Each counted to {@link mostCounted}. */
  dueByRouteState: ByRouteState
  /** 0: nothing is due. */
  oldestDueSeconds: number
  oldestDueByRouteState: ByRouteState
  routes: Record<'active' | 'failing' | 'parked', number>
  /** Counted to {@link mostCounted}. */
  unmatchedCallbacks: number
  requeuesRunning: number
  unaccounted: number
  beats: { id: string; beat: string }[]
}

export const mostCounted = 100_000
/** A scrape costs the database no more than this, in milliseconds. */
const statementTimeoutMs = 4_000

/**
 * Due deliveries are read route by route, as the dispatcher reads them: each from its own head of the index of due rows,
 * first attempts and retries apart, so that those due later cost nothing; parked routes are left out. With 20,000 routes and 2 million rows, 500,000 of them due on one route: 0.3 s on a 2-core machine that had other
 * work too. Dead index entries pile up while some session holds a snapshot; then it may take longer.
 */
const readFleet = `
  with lanes as (
    select r.business_id, r.direction, r.state, lane.kind
    from callbox.routes r
    cross join (values (0), (1)) as lane (kind)
    where r.state <> 'parked'
  )
  select
    (select json_object_agg(s.state, (
       select count(*)::integer from (
         select from lanes l
         cross join lateral (
           select from callbox.webhook_due o
           where o.business_id = l.business_id and o.direction = l.direction
             and least(o.attempt_count, 1) = l.kind and o.due_at <= now()
           limit :mostCounted
         ) o
         where l.state = s.state
         limit :mostCounted) counted))
     from (values ('active'), ('failing')) as s (state)) as "dueByRouteState",
    (select json_build_object(
       'active', coalesce(max(waited) filter (where state = 'active'), 0),
       'failing', coalesce(max(waited) filter (where state = 'failing'), 0))
     from (
       select l.state, extract(epoch from now() - o.due_at) as waited
       from lanes l
       cross join lateral (
         select o.due_at from callbox.webhook_due o
         where o.business_id = l.business_id and o.direction = l.direction
           and least(o.attempt_count, 1) = l.kind and o.due_at <= now()
         order by o.due_at
         limit 1
       ) o
     ) heads) as "oldestDueByRouteState",
    (select json_build_object(
       'active', count(*) filter (where state = 'active'),
       'failing', count(*) filter (where state = 'failing'),
       'parked', count(*) filter (where state = 'parked'))
     from callbox.routes) as routes,
    (select count(*)::integer from (
       select from callbox.twilio_callbacks where state = 'unmatched' limit :mostCounted) counted) as "unmatchedCallbacks",
    (select count(*)::integer from callbox.requeues where state = 'running') as "requeuesRunning",
    (select count(*)::integer from (
       select from callbox.webhook_unaccounted limit :mostCounted) counted) as unaccounted,
    (select coalesce(json_agg(json_build_object('id', id, 'beat', beat::text)), '[]') from callbox.dispatchers) as beats`

/** @throws Error when the database is away or takes longer than 4 s. */
export async function readFleetState(knex: Knex): Promise<FleetReading> {
  return knex.transaction(async (trx) => {
    await trx.raw(`set local statement_timeout = ${statementTimeoutMs}`)
    type Row = Omit<FleetReading, 'due' | 'oldestDueSeconds'>
    const { rows } = await trx.raw<{ rows: Row[] }>(readFleet, { mostCounted })
    const [reading] = rows
    if (reading === undefined) throw new Error('the state of the fleet was read without an answer')
    const { dueByRouteState: due, oldestDueByRouteState: oldest } = reading
    return {
      ...reading,
      due: Math.min(due.active + due.failing, mostCounted),
      oldestDueSeconds: Math.max(oldest.active, oldest.failing),
    }
  })
}
