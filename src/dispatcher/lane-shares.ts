import type { ReadBudget } from './read-budget.ts'
import type { LaneKind } from './route.ts'
import type { RouteQueues } from './route-queues.ts'

/** Bounds of what one lane may have waiting in memory. With 10,000 lanes 4 instead of 2 are 415 MB instead of 320. */
const smallestAllowance = 2
const largestAllowance = 512

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
  return Math.max(smallestAllowance, Math.min(largestAllowance, share))
}

/**
 * Of very many routes not all are kept filled: of those that have more, as many as of the others, and as a window wants.
 * 10,000 routes of 10 rows, against 100 of 1,000: 0.75 of the throughput when all were kept filled, 0.83 so.
 */
export function isTimeForMore(queues: RouteQueues, kind: LaneKind, budget: ReadBudget): boolean {
  const { withMore, others } = queues.ready(kind)
  return withMore < Math.max(budget.routes, others)
}
