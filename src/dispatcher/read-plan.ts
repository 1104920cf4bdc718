import type { Direction } from '../outbox/routing.ts'
import type { HeldDeliveries } from './held-deliveries.ts'
import type { Lane, LaneKind, Route } from './route.ts'

/** A late commit may lie behind a cursor: the head is read again after this long. */
export const headAgainMs = 5_000
/** How far behind its cursor a lane without backlog is read again, for commits that came out of order. */
const overlapMs = 1_000

interface ReadRequest {
  kind: LaneKind
  held: HeldDeliveries
  /** `null`: all routes; else a sweep reads those of greater business ids. */
  sweepAfter: string | null
  nowMs: number
}

/** Where a read begins on each route that is in memory, and what it leaves out. */
export interface ReadPlan {
  /** The routes in memory that it asks for; of others it says nothing. */
  scope: Route[]
  /** Those of them that are read from their head. */
  fromHead: Route[]
  cursors: Record<string, string>
  /** Ids of theirs that are in memory: the read leaves them out. */
  held: Record<string, 1>
  /** Monotonic milliseconds. */
  begunMs: number
}

/** @param routes what is in memory of what is to be read. */
export function planRead(routes: Iterable<Route>, request: ReadRequest): ReadPlan {
  const { kind, held, sweepAfter, nowMs } = request
  const plan: ReadPlan = { scope: [], fromHead: [], cursors: {}, held: {}, begunMs: nowMs }
  for (const route of routes) {
    if (sweepAfter !== null && compareIds(route.businessId, sweepAfter) <= 0) continue
    const lane = route.lanes[kind]
    // A backlog is read by name as it shrinks; a sweep looks for what is not known yet.
    if (lane.hasMore && (sweepAfter !== null || lane.waiting.size > lane.lowWater)) {
      plan.cursors[route.name] = 'infinity'
      continue
    }
    plan.scope.push(route)
    const cursor = cursorOf(lane, nowMs)
    if (cursor === null) plan.fromHead.push(route)
    else plan.cursors[route.name] = `${cursor}Z`
    for (const id of held.of(route.name)) plan.held[id] = 1
  }
  return plan
}

/** At the head (`null`) when it is time, else at the lane's cursor or, without backlog, before it. */
function cursorOf(lane: Lane, nowMs: number): string | null {
  if (lane.cursor === null || nowMs - lane.headReadMs > headAgainMs) return null
  if (lane.hasMore) return lane.cursor
  return new Date(Date.parse(`${lane.cursor}Z`) - overlapMs).toISOString().slice(0, -1)
}

/** Whether a read that was cut at a row came to this route, in its order of business and direction. */
export function isReached(route: Route, cut: { business_id: string; direction: Direction }): boolean {
  const order = compareIds(route.businessId, cut.business_id)
  return order < 0 || (order === 0 && route.direction <= cut.direction)
}

/** As numbers: ids are whole ones in the usual spelling. */
export function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
