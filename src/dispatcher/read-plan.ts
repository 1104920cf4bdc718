import type { Direction } from '../outbox/routing.ts'
import type { Lane, LaneKind, Route } from './route.ts'

/** A late commit may lie behind a cursor: the head is read again after this long. */
export const headAgainMs = 5_000
/** How far behind its cursor a lane without backlog is read again, for commits that came out of order. */
const overlapMs = 1_000

interface ReadRequest {
  kind: LaneKind
  /** `null`: all routes; else a sweep reads those of greater business ids. */
  sweepAfter: string | null
  /** How many deliveries of one lane may wait in memory. */
  allowance: number
  /** About how many may wait in all. */
  capacity: number
  nowMs: number
}

/** Where a read begins on each route that is in memory, and how much it may bring. */
export interface ReadPlan {
  /** The routes in memory that it asks for; of others it says nothing. */
  scope: Route[]
  /** Those of them that are read from their head. */
  fromHead: Route[]
  cursors: Record<string, string>
  perLane: number
  total: number
}

/** @param routes what is in memory of what is to be read. */
export function planRead(routes: Iterable<Route>, request: ReadRequest): ReadPlan {
  const { kind, sweepAfter, allowance, capacity, nowMs } = request
  const plan: ReadPlan = { scope: [], fromHead: [], cursors: {}, perLane: allowance, total: capacity }
  let readAgain = 0
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
    // What is in memory is still pending, and takes its place among the rows that are read.
    const inMemory = lane.waiting.size + route.inFlight
    readAgain = Math.max(readAgain, cursor === lane.cursor ? Math.min(lane.atCursor, inMemory) : inMemory)
  }
  plan.perLane += readAgain
  plan.total += readAgain
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

/** Ids are whole numbers in the usual spelling. */
function compareIds(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
