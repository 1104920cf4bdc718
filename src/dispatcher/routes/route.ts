import { routeName } from '../../database/hints.ts'
import type { Direction } from '../../outbox/routing.ts'
import type { Delivery } from '../delivery.ts'
import { slotOf } from '../lease/slots.ts'
import type { RateLimit } from './rate-limit.ts'
import { RouteHealth } from './route-health.ts'

export const directions = ['inbound', 'outbound'] as const

/** First attempts and retries wait apart, so that neither hides the other. */
export const laneKinds = ['first', 'retry'] as const
export type LaneKind = (typeof laneKinds)[number]

/** What was read of one route and kind, and where the next read begins. `RouteQueues` is its only writer. */
export interface Lane {
  /** Read and not yet sent, in the order of their due times. */
  readonly waiting: Set<Delivery>
  waitingBytes: number
  /** `due_at` of the last row that was read, in microseconds of the epoch; `null`: begin at the head. */
  cursorUs: number | null
  /** The last read brought all that it was allowed to. */
  hasMore: boolean
  /** A hint arrived while enough was waiting. */
  isHinted: boolean
  /** With no more waiting than this, and more to read, the lane is read again. */
  lowWater: number
  /** The size of the payload that the last read left out because memory was full; 0: none. */
  leftOutBytes: number
  /** Monotonic milliseconds of the last read from the head. */
  headReadMs: number
}

/**
 * One business and direction: the unit of fairness, limits, breaker and parking. `RouteQueues` writes all fields but
 * `health`, which is its own state machine.
 */
export class Route {
  readonly name: string
  readonly businessId: string
  readonly direction: Direction
  readonly slot: number
  readonly lanes: Readonly<Record<LaneKind, Lane>> = { first: emptyLane(), retry: emptyLane() }
  readonly health = new RouteHealth()
  rateLimit: RateLimit | null = null
  /** A timer runs until its rate or its `Retry-After` allows the next POST. */
  hasTimer = false
  inFlight = 0
  retriesInFlight = 0
  /** POSTs in flight beyond its own place, see `RouteQueues`. */
  onProbation = 0
  /** Reads before this one bring rows of a state that has been discarded. */
  clearedAtRead = 0

  constructor(businessId: string, direction: Direction) {
    this.name = routeName(businessId, direction)
    this.businessId = businessId
    this.direction = direction
    this.slot = slotOf(businessId)
  }

  get waiting(): number {
    return this.lanes.first.waiting.size + this.lanes.retry.waiting.size
  }

  /** Nothing is in memory, and no unread deliveries are known. */
  get isQuiet(): boolean {
    const { first, retry } = this.lanes
    return this.inFlight === 0 && this.waiting === 0 && !first.hasMore && !retry.hasMore
  }
}

export const unread = {
  cursorUs: null,
  hasMore: false,
  isHinted: false,
  lowWater: 0,
  leftOutBytes: 0,
  headReadMs: Number.NEGATIVE_INFINITY,
}

function emptyLane(): Lane {
  return { waiting: new Set(), waitingBytes: 0, ...unread }
}
