import { routeName } from '../database/hints.ts'
import type { Direction } from '../outbox/routing.ts'
import { Breaker } from './breaker.ts'
import type { Delivery } from './delivery.ts'
import { Ramp } from './ramp.ts'
import { RateLimit } from './rate-limit.ts'

export const directions = ['inbound', 'outbound'] as const

/** First attempts and retries wait apart, so that neither hides the other. */
export const laneKinds = ['first', 'retry'] as const
export type LaneKind = (typeof laneKinds)[number]

/** What of one route and kind was read, and where the next read goes on. */
export interface Lane {
  /** Read, not yet sent; in the order of their due times. */
  readonly waiting: Set<Delivery>
  /** `due_at` of the last row that was read; `null`: begin at the head. */
  cursor: string | null
  /** The last read brought all it was allowed to: there is more. */
  hasMore: boolean
  /** A hint told of more while enough was waiting. */
  hinted: boolean
  /** With no more waiting than this, and more to read, it is read again. */
  lowWater: number
  /** Monotonic milliseconds of the last read from the head. */
  headReadMs: number
}

/** One business and direction: the unit of fairness, limits, breaker and parking. */
export class Route {
  readonly name: string
  readonly businessId: string
  readonly direction: Direction
  readonly slot: number
  readonly lanes: Readonly<Record<LaneKind, Lane>> = { first: emptyLane(), retry: emptyLane() }
  readonly breaker = new Breaker()
  readonly ramp = new Ramp()
  rateLimit: RateLimit | null = null
  /** A timer runs until its rate allows one more. */
  awaitsRate = false
  inFlight = 0
  retriesInFlight = 0
  /** How many of those in flight count as doubtful (see `RouteQueues`). */
  doubtful = 0
  /** Nothing is sent, and nothing of it kept in memory. */
  parked = false
  /** `health_version` of the row as it is known here. */
  healthVersion = -1
  /** With an open breaker: when the next probe may go, by the monotonic clock. */
  probeMs = 0
  /** When what waited was last forgotten, by the monotonic clock. */
  clearedMs = Number.NEGATIVE_INFINITY

  constructor(businessId: string, direction: Direction) {
    this.name = routeName(businessId, direction)
    this.businessId = businessId
    this.direction = direction
    this.slot = slotOf(businessId)
  }

  get waiting(): number {
    return this.lanes.first.waiting.size + this.lanes.retry.waiting.size
  }

  /** Nothing in memory, and nothing known to be left unread. */
  get quiet(): boolean {
    const { first, retry } = this.lanes
    return this.inFlight === 0 && this.waiting === 0 && !first.hasMore && !retry.hasMore
  }

  /** A changed rate begins with an empty bucket. @param perSecond `null`: none. */
  limitRate(perSecond: number | null, nowMs: number): void {
    if (perSecond === (this.rateLimit?.perSecond ?? null)) return
    this.rateLimit = perSecond === null ? null : new RateLimit(perSecond, nowMs)
  }

  /** Forgets what waits and where it was read to. */
  clear(): Delivery[] {
    this.clearedMs = performance.now()
    const dropped: Delivery[] = []
    for (const kind of laneKinds) {
      const lane = this.lanes[kind]
      dropped.push(...lane.waiting)
      lane.waiting.clear()
      Object.assign(lane, notReadYet)
    }
    return dropped
  }
}

const notReadYet = {
  cursor: null,
  hasMore: false,
  hinted: false,
  lowWater: 0,
  headReadMs: Number.NEGATIVE_INFINITY,
}

function emptyLane(): Lane {
  return { waiting: new Set(), ...notReadYet }
}

export const slotOf = (businessId: string): number => Number(BigInt(businessId) % 64n)
