import type { LaneKind, Route } from '../routes/route.ts'
import type { RouteQueues } from '../routes/route-queues.ts'
import type { Window } from '../window.ts'
import type { ReadBudget } from './read-budget.ts'

/** Bounds of what one lane may have waiting in memory. */
const minAllowance = 2
const maxAllowance = 512

/**
 * How many deliveries of one lane may wait in memory: an equal share for each lane that has any, and for those that a read
 * brings more of.
 */
export function allowanceOf(queues: RouteQueues, kind: LaneKind, budget: ReadBudget): number {
  let filled = 0
  let empty = 0
  for (const { lanes } of queues.routes()) {
    const { waiting, hasMore } = lanes[kind]
    if (waiting.size > 0) filled += 1
    else if (hasMore) empty += 1
  }
  const share = Math.floor(budget.rows / Math.max(1, filled + Math.min(empty, budget.routes)))
  return Math.max(minAllowance, Math.min(maxAllowance, share))
}

/**
 * With very many routes only some are kept filled: as many as a window needs, and those whose whole backlog is in memory
 * (bench/NOTES.md, "isTimeForMore").
 */
export function isTimeForMore(queues: RouteQueues, kind: LaneKind, budget: ReadBudget): boolean {
  const { withMore, others } = queues.ready(kind)
  return withMore < Math.max(budget.routes, others)
}

/** Whether a payload of this size may wait in a lane. */
export function hasMemoryFor(bytes: number, route: Route, kind: LaneKind, window: Window): boolean {
  const { waiting, waitingBytes } = route.lanes[kind]
  if (waiting.size > 0 && waitingBytes + bytes > window.maxLaneBytes) return false
  return window.fits(bytes, route.waiting === 0 && route.inFlight === 0)
}

/**
 * Whether a lane should be read again, as far as memory goes. A lane whose last read left a payload out for lack of it
 * waits until that one fits and no more than a quarter of its share is left; otherwise it would be read again and again.
 */
export function isRoomForMore(route: Route, kind: LaneKind, window: Window): boolean {
  const { leftOutBytes, waitingBytes } = route.lanes[kind]
  if (leftOutBytes === 0) return true
  return waitingBytes <= window.maxLaneBytes / 4 && hasMemoryFor(leftOutBytes, route, kind, window)
}
