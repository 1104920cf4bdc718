import type { Direction } from '../outbox/routing.ts'
import type { Delivery } from './delivery.ts'
import type { HeldDeliveries } from './held-deliveries.ts'
import type { Lease } from './lease.ts'
import { isReached, type ReadPlan } from './read-plan.ts'
import { directions, type LaneKind, type Route, slotOf } from './route.ts'
import type { RouteHealth, RouteRow } from './route-health.ts'
import type { RouteQueues } from './route-queues.ts'

/**
 * A probe is a first attempt if there is one: what failed as a probe is a retry from then on, and a few that always fail
 * would keep the breaker open for all the others.
 */
export const probeHeadStartMs: Record<LaneKind, number> = { first: 0, retry: 500 }

/** A due delivery, with what of its route and business a read brings along. */
export interface DueRow extends RouteRow {
  business_id: string
  direction: Direction
  revision: number | null
  id: string
  call_sid: string
  event_type: string
  version: number
  attempt_count: number
  step: number
  requeued: boolean
  created_ms: number
  due_text: string
  payload: Buffer | null
}

interface IntakeParts {
  kind: LaneKind
  lease: Lease
  held: HeldDeliveries
  queues: RouteQueues
  health: RouteHealth
  draining: ReadonlySet<number>
}

interface ReadResult {
  /** How many deliveries of one lane may wait in memory. */
  allowance: number
  /** The last row, of a read that brought all it was allowed to. */
  cut: DueRow | undefined
  /** Slots that were lost while the read was under way: their rows belong to somebody else. */
  lost: ReadonlySet<number>
}

/**
 * Takes what a read brought into the queues, as far as it is ours, new, and wanted, and notes which lanes have more.
 *
 * @returns how many deliveries were new.
 */
export function takeRows(parts: IntakeParts, rows: readonly DueRow[], plan: ReadPlan, result: ReadResult): number {
  const { kind, queues, held, lease, draining, health } = parts
  const { allowance, cut, lost } = result
  const nowMs = performance.now()
  const mostWaiting = allowance + lowWaterOf(allowance)
  const counts = new Map<Route, number>()
  const truncated = new Set<Route>()
  let taken = 0
  for (const row of rows) {
    const slot = slotOf(row.business_id)
    if (!lease.owned.has(slot) || draining.has(slot) || lost.has(slot)) continue
    const route = queues.route(row.business_id, row.direction)
    // What was dropped meanwhile was left out as held: only a read from the head brings all of it.
    if (route.clearedMs >= plan.begunMs) continue
    const lane = route.lanes[kind]
    const count = counts.get(route) ?? 0
    if (count === 0) {
      health.adopt(route, row, nowMs)
      // It was read from its head. What committed late lies behind the cursor, and may be more than one read brings.
      if (plan.cursors[route.name] === undefined) lane.cursor = null
    }
    counts.set(route, count + 1)
    if (truncated.has(route)) continue
    if (lane.waiting.size >= mostWaiting || !mayTake(route, kind, nowMs)) {
      truncated.add(route)
      continue
    }
    // A probe is all that is read of a route whose row says that it fails.
    if (row.state === 'failing') truncated.add(route)
    // Of the route in which the read was cut earlier ones may be left, where the database does not keep their order.
    const isCut = cut?.business_id === row.business_id && cut.direction === row.direction
    if (!isCut && (lane.cursor === null || row.due_text > lane.cursor)) lane.cursor = row.due_text
    const delivery = deliveryOf(row, route)
    if (!held.hold(delivery)) continue
    queues.add(route, kind, delivery)
    taken += 1
  }
  const note = (route: Route, hasMore: boolean): void => {
    if (route.clearedMs < plan.begunMs) noteMore(parts, route, allowance, hasMore)
  }
  for (const route of plan.scope) if (!counts.has(route) && (!cut || isReached(route, cut))) note(route, false)
  for (const [route, count] of counts) note(route, count >= allowance || truncated.has(route))
  // Of the business where the read was cut nothing is known: it may have more in both directions.
  if (cut && lease.owned.has(slotOf(cut.business_id))) {
    for (const direction of directions) note(queues.route(cut.business_id, direction), true)
  }
  return taken
}

/** Notes whether a lane has more. With an open breaker it is the next probe that asks, not hunger. */
function noteMore({ kind, queues }: IntakeParts, route: Route, allowance: number, hasMore: boolean): void {
  const lane = route.lanes[kind]
  lane.hasMore = hasMore && !route.breaker.open && !route.parked
  lane.lowWater = lowWaterOf(allowance)
  if (lane.hasMore && lane.waiting.size <= lane.lowWater) queues.hungry[kind].add(route)
  else queues.hungry[kind].delete(route)
}

/** With a quarter left the next ones are read. */
const lowWaterOf = (allowance: number): number => Math.floor(allowance / 4)

function deliveryOf(row: DueRow, route: Route): Delivery {
  return {
    id: row.id,
    route,
    businessId: row.business_id,
    direction: row.direction,
    callSid: row.call_sid,
    eventType: row.event_type,
    version: row.version,
    attemptCount: row.attempt_count,
    step: row.step,
    requeued: row.requeued,
    createdMs: row.created_ms,
    payload: row.payload,
  }
}

/** With an open breaker one delivery at a time, of either lane, and not before the probe's time. */
function mayTake(route: Route, kind: LaneKind, nowMs: number): boolean {
  if (route.parked) return false
  if (!route.breaker.open) return true
  return route.inFlight === 0 && route.waiting === 0 && nowMs >= route.probeMs + probeHeadStartMs[kind]
}
