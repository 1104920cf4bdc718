import { routeName } from '../database/hints.ts'
import type { Direction } from '../outbox/routing.ts'
import type { Delivery } from './delivery.ts'
import { type LaneKind, laneKinds, Route } from './route.ts'

/** How many POSTs of one route are in flight at once, unless the business has a `max_concurrency` of its own. */
const defaultRouteConcurrency = 16
/** A rate may be so low that its next token is further away than a timer can count (2^31 ms): then it looks again. */
const longestTimerMs = 60_000
/** One turn in so many goes to a retry while first attempts wait. */
const retryTurn = 4

export interface Turn {
  kind: LaneKind
  route: Route
  delivery: Delivery
}

interface QueueParts {
  /** The limits of a business; `null`: none of its own. */
  limitsOf: (businessId: string) => { maxConcurrency: number | null; ratePerSecond: number | null } | null
  /**
   * How many doubtful POSTs may be in flight: all but one first attempt of each route that answers. What they leave is
   * for that one, so that a few slow receivers with their fill of POSTs do not hold up those that have nothing in flight.
   */
  mostDoubtful: number
  /** A route that waited for its rate may go on. */
  onReady: () => void
}

/** What waits in memory, by route; routes take turns, so that no backlog holds up another route. */
export class RouteQueues {
  readonly #parts: QueueParts
  readonly #routes = new Map<string, Route>()
  /** Routes that may have something to send, in the order of their turns. */
  readonly #turns: Record<LaneKind, Set<Route>> = { first: new Set(), retry: new Set() }
  /** Routes that wait for a doubtful POST to end. */
  readonly #heldBack: Record<LaneKind, Set<Route>> = { first: new Set(), retry: new Set() }
  /** Routes that have little left in memory and more in the table. */
  readonly hungry: Readonly<Record<LaneKind, Set<Route>>> = { first: new Set(), retry: new Set() }
  readonly #sent: Record<LaneKind, number> = { first: 0, retry: 0 }
  #doubtful = 0

  constructor(parts: QueueParts) {
    this.#parts = parts
  }

  routes(): Iterable<Route> {
    return this.#routes.values()
  }

  /** How many routes may have something to send. */
  turnsOf(kind: LaneKind): number {
    return this.#turns[kind].size
  }

  /** The same, those apart of which there is more than is in memory. */
  ready(kind: LaneKind): { withMore: number; others: number } {
    let withMore = 0
    for (const { lanes } of this.#turns[kind]) if (lanes[kind].hasMore) withMore += 1
    return { withMore, others: this.#turns[kind].size - withMore }
  }

  /** How many were sent so far. */
  sent(kind: LaneKind): number {
    return this.#sent[kind]
  }

  find(businessId: string, direction: Direction): Route | undefined {
    return this.named(routeName(businessId, direction))
  }

  named(name: string): Route | undefined {
    return this.#routes.get(name)
  }

  route(businessId: string, direction: Direction): Route {
    const name = routeName(businessId, direction)
    let route = this.#routes.get(name)
    if (route === undefined) {
      route = new Route(businessId, direction)
      this.#routes.set(name, route)
    }
    return route
  }

  /** Limits may have changed: routes that had reached theirs have a turn again. */
  limitsChanged(): void {
    for (const route of this.#routes.values()) this.#giveTurns(route)
  }

  /**
   * Forgets routes that have been quiet since `beforeMs` and are in no trouble; they are read from their head again. One
   * that failed stays, or failures further apart than this would never open its breaker, as long as its slot is ours. One
   * that is hungry, as by a hint that came before it was quiet, is read first: nothing else takes it out of `hungry`.
   */
  prune(beforeMs: number, owned: ReadonlySet<number>): void {
    for (const route of this.#routes.values()) {
      const { first, retry } = route.lanes
      const inTrouble = owned.has(route.slot) && (route.breaker.failing || route.parked)
      if (!route.quiet || inTrouble || this.#isHungry(route)) continue
      if (Math.max(first.headReadMs, retry.headReadMs) < beforeMs) this.#routes.delete(route.name)
    }
  }

  add(route: Route, kind: LaneKind, delivery: Delivery): void {
    route.lanes[kind].waiting.add(delivery)
    this.#turns[kind].add(route)
  }

  /**
   * The next to send; it counts as in flight on its route until `answered`. First attempts go before retries, but for
   * one turn in four.
   */
  next(nowMs: number): Turn | null {
    const { first, retry } = this.#sent
    // Only what is sent counts: looks in vain keep step with a rate, and would give one lane every turn.
    const retriesFirst = (first + retry) % retryTurn === retryTurn - 1
    const turn = retriesFirst
      ? (this.#take('retry', nowMs) ?? this.#take('first', nowMs))
      : (this.#take('first', nowMs) ?? this.#take('retry', nowMs))
    if (turn) this.#sent[turn.kind] += 1
    return turn
  }

  answered({ route, kind }: Turn): void {
    route.inFlight -= 1
    if (kind === 'retry') route.retriesInFlight -= 1
    for (let places = -this.#countDoubtful(route); places > 0; places -= 1) {
      for (const waiting of laneKinds) this.#letOneGo(waiting)
    }
    this.#giveTurns(route)
  }

  /** Forgets what waits on a route and where it was read to, but not what is in flight. */
  clear(route: Route): Delivery[] {
    for (const kind of laneKinds) {
      this.#heldBack[kind].delete(route)
      this.hungry[kind].delete(route)
      // It may have been given the place of a doubtful POST that ended: the next one gets it.
      if (this.#turns[kind].delete(route)) this.#letOneGo(kind)
    }
    return route.clear()
  }

  /** Forgets what waits in these slots, but not what is in flight. */
  forgetSlots(slots: ReadonlySet<number>): Delivery[] {
    const dropped: Delivery[] = []
    for (const route of this.#routes.values()) {
      if (!slots.has(route.slot)) continue
      dropped.push(...this.clear(route))
      if (route.inFlight === 0) this.#routes.delete(route.name)
    }
    return dropped
  }

  /** @returns by how much there are more. */
  #countDoubtful(route: Route): number {
    const hasOwnPlace = !route.breaker.failing && route.inFlight > route.retriesInFlight
    const doubtful = route.inFlight - (hasOwnPlace ? 1 : 0)
    const change = doubtful - route.doubtful
    route.doubtful = doubtful
    this.#doubtful += change
    return change
  }

  #isHungry(route: Route): boolean {
    return laneKinds.some((kind) => this.hungry[kind].has(route))
  }

  #letOneGo(kind: LaneKind): void {
    const [waiting] = this.#heldBack[kind]
    if (waiting === undefined) return
    this.#heldBack[kind].delete(waiting)
    this.#turns[kind].add(waiting)
  }

  #giveTurns(route: Route): void {
    for (const kind of laneKinds) if (route.lanes[kind].waiting.size > 0) this.#turns[kind].add(route)
  }

  #take(kind: LaneKind, nowMs: number): Turn | null {
    const turns = this.#turns[kind]
    for (const route of turns) {
      turns.delete(route)
      const lane = route.lanes[kind]
      const [delivery] = lane.waiting
      const doubtful = kind === 'retry' || route.breaker.failing || route.inFlight > route.retriesInFlight
      if (delivery && doubtful && this.#doubtful >= this.#parts.mostDoubtful) {
        this.#heldBack[kind].add(route)
        continue
      }
      if (!delivery || !this.#mayStart(route, nowMs)) {
        // It may have been given the place of a doubtful POST that ended: the next one gets it.
        this.#letOneGo(kind)
        continue
      }
      lane.waiting.delete(delivery)
      route.inFlight += 1
      if (kind === 'retry') route.retriesInFlight += 1
      this.#countDoubtful(route)
      // A place that it had been given and did not need after all.
      if (!doubtful && this.#doubtful < this.#parts.mostDoubtful) this.#letOneGo(kind)
      if (lane.waiting.size > 0) turns.add(route)
      if ((lane.hasMore || lane.hinted) && lane.waiting.size <= lane.lowWater) this.hungry[kind].add(route)
      return { kind, route, delivery }
    }
    return null
  }

  /** A route that may not is left out until something of it is answered, or its rate allows one more. */
  #mayStart(route: Route, nowMs: number): boolean {
    if (route.parked) return false
    const limits = this.#parts.limitsOf(route.businessId)
    const concurrency = limits?.maxConcurrency ?? defaultRouteConcurrency
    if (route.inFlight >= (route.breaker.open ? 1 : route.ramp.limit(concurrency))) return false
    route.limitRate(limits?.ratePerSecond ?? null, nowMs)
    if (route.rateLimit === null || route.rateLimit.take(nowMs)) return true
    // One timer a route: each look at a route that waits would start another, and each of them two more.
    if (route.awaitsRate) return false
    route.awaitsRate = true
    setTimeout(
      () => {
        route.awaitsRate = false
        this.#giveTurns(route)
        this.#parts.onReady()
      },
      Math.min(longestTimerMs, route.rateLimit.waitMs()),
    )
    return false
  }
}
