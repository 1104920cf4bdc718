import type { Direction } from '../../outbox/routing.ts'
import type { Lane, LaneKind, Route } from '../routes/route.ts'
import type { Held } from './held.ts'

/** A late commit may insert rows behind a cursor, so the head is read again after this long. */
export const headAgainMs = 5_000
/** How far behind its cursor a lane without backlog is read again, for commits that came out of order. */
const overlapUs = 1_000_000
/** A place after all rows: nothing of the lane is read. */
const never = 9_000_000_000_000_000

/** A place in the order of a read: by business, then by direction. */
export interface RoutePlace {
  businessId: string
  direction: Direction
}

interface ReadRequest {
  /** The number of the read. */
  read: number
  kind: LaneKind
  held: Held
  /** `null`: all routes; else a sweep reads those of greater business ids. */
  sweepAfter: string | null
  /** Whether a route that has more is left to a later read. */
  isForLater: (route: Route) => boolean
  nowMs: number
}

/** Where a read begins on each route in memory, and which ids it excludes. */
export interface ReadPlan {
  read: number
  /** The routes in memory that the read covers; it says nothing about others. */
  scope: Route[]
  /** The subset that is read from its head. */
  fromHead: Route[]
  /** By route name, in microseconds of the epoch. */
  cursors: Record<string, number>
  /** Ids that are in memory: the read leaves them out. */
  held: Record<string, 1>
  /** Monotonic milliseconds. */
  begunMs: number
}

/** @param routes what is in memory of what is to be read. */
export function planRead(
  routes: Iterable<Route>,
  { read, kind, held, sweepAfter, isForLater, nowMs }: ReadRequest,
): ReadPlan {
  const plan: ReadPlan = { read, scope: [], fromHead: [], cursors: {}, held: {}, begunMs: nowMs }
  for (const route of routes) {
    if (sweepAfter !== null && compareIds(route.businessId, sweepAfter) <= 0) continue
    const lane = route.lanes[kind]
    // A backlog is read by name as it shrinks; a sweep looks for routes that are not known yet.
    if (lane.hasMore && (sweepAfter !== null || lane.waiting.size > lane.lowWater || isForLater(route))) {
      plan.cursors[route.name] = never
      continue
    }
    plan.scope.push(route)
    const cursor = cursorOf(lane, nowMs)
    if (cursor === null) plan.fromHead.push(route)
    else plan.cursors[route.name] = cursor
    for (const id of held.of(route.name)) plan.held[id] = 1
  }
  return plan
}

/** At the head (`null`) when it is time, else at the lane's cursor or, without backlog, before it. */
function cursorOf(lane: Lane, nowMs: number): number | null {
  if (lane.cursorUs === null || nowMs - lane.headReadMs > headAgainMs) return null
  return lane.hasMore ? lane.cursorUs : lane.cursorUs - overlapUs
}

/** Whether a read that was cut off at a row reached this route, in the order of business and direction. */
export function isReached(route: Route, cut: RoutePlace): boolean {
  const order = compareIds(route.businessId, cut.businessId)
  return order < 0 || (order === 0 && route.direction <= cut.direction)
}

/** Compares business ids as numbers: they are integers without leading zeros. */
export function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
