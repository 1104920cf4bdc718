import type { Delivery } from '../delivery.ts'
import type { Slots } from '../lease/slots.ts'
import { slotOf } from '../lease/slots.ts'
import type { HealthKeeper } from '../routes/health-keeper.ts'
import { directions, type LaneKind, type Route } from '../routes/route.ts'
import type { RouteQueues } from '../routes/route-queues.ts'
import type { Window } from '../window.ts'
import type { Held } from './held.ts'
import { hasMemoryFor } from './lane-shares.ts'
import type { DueRow } from './read-due.ts'
import { isReached, type ReadPlan } from './read-plan.ts'

/**
 * A probe is a first attempt if there is one: a delivery that failed as a probe is a retry from then on, and a few that
 * always fail would keep the breaker open for all others.
 */
export const probeHeadStartMs: Record<LaneKind, number> = { first: 0, retry: 500 }

interface IntakeDependencies {
  kind: LaneKind
  slots: Slots
  held: Held
  queues: RouteQueues
  health: HealthKeeper
  window: Window
}

interface ReadResult {
  /** How many deliveries of one lane may wait in memory. */
  allowance: number
  /** The last row, when the read ended with one of its limits. */
  cut: DueRow | undefined
}

/**
 * Takes what a read brought into the queues, as far as it is ours, new, and there is room for it, and notes which lanes
 * have more.
 *
 * @returns how many deliveries were new.
 */
export function takeRows(
  dependencies: IntakeDependencies,
  rows: readonly DueRow[],
  plan: ReadPlan,
  { allowance, cut }: ReadResult,
): number {
  const { kind, queues, held, slots, health, window } = dependencies
  const nowMs = performance.now()
  const lowWater = lowWaterOf(allowance)
  const counts = new Map<Route, number>()
  const truncated = new Set<Route>()
  /** The size of the first payload that did not fit into memory. */
  const leftOut = new Map<Route, number>()
  let taken = 0
  for (const row of rows) {
    if (!slots.accepts(slotOf(row.businessId), plan.read)) continue
    const route = queues.route(row.businessId, row.direction)
    // The read excluded rows that were in memory when it began and have been discarded since: only a later read is complete.
    if (route.clearedAtRead > plan.read) continue
    const lane = route.lanes[kind]
    const count = counts.get(route) ?? 0
    if (count === 0) {
      health.adopt(route, row, nowMs)
      if (plan.cursors[route.name] === undefined) queues.headRead(route, kind, plan.begunMs, true)
    }
    counts.set(route, count + 1)
    if (truncated.has(route)) continue
    if (lane.waiting.size >= allowance + lowWater || !mayTake(route, kind, nowMs)) {
      truncated.add(route)
      continue
    }
    if (!hasMemoryFor(row.bytes, route, kind, window)) {
      truncated.add(route)
      leftOut.set(route, row.bytes)
      continue
    }
    // A read of a failing route returns its probe and nothing else.
    if (row.state === 'failing') truncated.add(route)
    // On the route where the read was cut off, earlier rows may be missing if the database returned them in another order.
    const isCut = cut?.businessId === row.businessId && cut.direction === row.direction
    if (!isCut) queues.readTo(route, kind, row.dueUs)
    const delivery = deliveryOf(row, route, kind)
    if (!held.hold(delivery)) continue
    window.read(delivery)
    queues.add(delivery)
    taken += 1
  }
  const note = (route: Route, hasMore: boolean): void => {
    if (route.clearedAtRead <= plan.read)
      queues.wasRead(route, kind, { hasMore, lowWater, leftOutBytes: leftOut.get(route) ?? 0 })
  }
  for (const route of plan.scope) if (!counts.has(route) && (!cut || isReached(route, cut))) note(route, false)
  for (const [route, count] of counts) note(route, count >= allowance || truncated.has(route))
  // Nothing is known about the rest of the business where the read was cut off: both directions may have more.
  if (cut && slots.accepts(slotOf(cut.businessId), plan.read)) {
    for (const direction of directions) note(queues.route(cut.businessId, direction), true)
  }
  return taken
}

/** Below a quarter, the next deliveries are read. */
const lowWaterOf = (allowance: number): number => Math.floor(allowance / 4)

function deliveryOf(row: DueRow, route: Route, kind: LaneKind): Delivery {
  const { id, callSid, eventType, version, attemptCount, step, requeued, createdMs, bytes, payload } = row
  return { id, route, kind, callSid, eventType, version, attemptCount, step, requeued, createdMs, bytes, payload }
}

/** While the breaker is open, one delivery of either lane, and not before the probe's time. */
function mayTake(route: Route, kind: LaneKind, nowMs: number): boolean {
  const { health } = route
  if (health.state === 'parked') return false
  if (health.state === 'active') return health.waitMs(nowMs) === 0
  return route.inFlight === 0 && route.waiting === 0 && health.waitMs(nowMs - probeHeadStartMs[kind]) === 0
}
