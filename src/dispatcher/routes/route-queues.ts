import { routeName } from '../../database/hints.ts'
import type { Direction } from '../../outbox/routing.ts'
import type { Delivery } from '../delivery.ts'
import { RateLimit } from './rate-limit.ts'
import { type Lane, type LaneKind, laneKinds, Route, unread } from './route.ts'

/** The default of a business's `max_concurrency`: POSTs of one route in flight at the same time. */
const defaultRouteConcurrency = 16
/** A rate may be so low that its next token is further away than a timer can count (2^31 ms): then it is checked again. */
const maxTimerMs = 60_000
/** One turn in so many goes to a retry while first attempts wait. */
const retryTurn = 4

interface QueueDependencies {
  /** The limits of a business; `null`: the defaults. */
  limitsOf: (businessId: string) => { maxConcurrency: number | null; ratePerSecond: number | null } | null
  /** POSTs on probation that may be in flight, see {@link RouteQueues}. */
  maxOnProbation: number
  /** A route that waited for its rate may go on. */
  onReady: () => void
}

/**
 * The deliveries that wait in memory, by route and lane.
 *
 * Routes take turns, so that no backlog holds up another route. Each route that answers has one place of its own in the
 * window, for one first attempt; its other POSTs are on probation, and so are those of a failing route. Places
 * on probation are limited, so that a few slow receivers cannot hold up routes that have nothing in flight.
 *
 * A route is in at most one of `#own` and `#probation` per lane, and in `#hungry` when it should be read again. All three
 * are derived from the route by `#index`, the only method that writes them; every change of a route ends with it.
 */
export class RouteQueues {
  readonly #dependencies: QueueDependencies
  readonly #routes = new Map<string, Route>()
  /** Routes whose next POST has a place of its own, in the order of their turns. */
  readonly #own: Record<LaneKind, Set<Route>> = { first: new Set(), retry: new Set() }
  /** Routes whose next POST is on probation, in the order of their turns. */
  readonly #probation: Record<LaneKind, Set<Route>> = { first: new Set(), retry: new Set() }
  /** Routes with little left in memory and more in the table. */
  readonly #hungry: Record<LaneKind, Set<Route>> = { first: new Set(), retry: new Set() }
  readonly #sent: Record<LaneKind, number> = { first: 0, retry: 0 }
  /** The sum of `route.onProbation`. */
  #onProbation = 0

  constructor(dependencies: QueueDependencies) {
    this.#dependencies = dependencies
  }

  routes(): Iterable<Route> {
    return this.#routes.values()
  }

  get size(): number {
    return this.#routes.size
  }

  hungry(kind: LaneKind): ReadonlySet<Route> {
    return this.#hungry[kind]
  }

  /** How many routes may have something to send. */
  readyCount(kind: LaneKind): number {
    return this.#own[kind].size + this.#probation[kind].size
  }

  /** The same, separated by whether there is more than what is in memory. */
  ready(kind: LaneKind): { withMore: number; others: number } {
    let withMore = 0
    for (const routes of [this.#own[kind], this.#probation[kind]]) {
      for (const { lanes } of routes) if (lanes[kind].hasMore) withMore += 1
    }
    return { withMore, others: this.readyCount(kind) - withMore }
  }

  /** The number of deliveries sent so far. */
  sent(kind: LaneKind): number {
    return this.#sent[kind]
  }

  find(businessId: string, direction: Direction): Route | undefined {
    return this.#routes.get(routeName(businessId, direction))
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

  add(delivery: Delivery): void {
    const { route, kind } = delivery
    const lane = route.lanes[kind]
    lane.waiting.add(delivery)
    lane.waitingBytes += delivery.bytes
    this.#index(route)
  }

  /**
   * The next delivery to send; it counts as in flight on its route until `answered`. First attempts go before retries,
   * except for one turn in four, and routes with a place of their own before those on probation.
   */
  next(nowMs: number): Delivery | null {
    const { first, retry } = this.#sent
    // Count only sent deliveries: turns without a POST could stay in step with a rate limit and starve one lane.
    const isRetryTurn = (first + retry) % retryTurn === retryTurn - 1
    const order: readonly LaneKind[] = isRetryTurn ? ['retry', 'first'] : laneKinds
    for (const kind of order) {
      const delivery = this.#take(this.#own[kind], kind, nowMs) ?? this.#takeOnProbation(kind, nowMs)
      if (delivery) return delivery
    }
    return null
  }

  /** The attempt of a delivery that `next` returned has ended. */
  answered({ route, kind }: Delivery): void {
    route.inFlight -= 1
    if (kind === 'retry') route.retriesInFlight -= 1
    this.#index(route)
  }

  /** The health of a route, or the limits of its business, may have changed. */
  changed(route: Route): void {
    this.#index(route)
  }

  /** Limits may have changed on any route. */
  limitsChanged(): void {
    for (const route of this.#routes.values()) this.#index(route)
  }

  /** A read of a lane ended. */
  wasRead(
    route: Route,
    kind: LaneKind,
    { hasMore, lowWater, leftOutBytes }: Pick<Lane, 'hasMore' | 'lowWater' | 'leftOutBytes'>,
  ): void {
    const lane = route.lanes[kind]
    lane.hasMore = hasMore && route.health.state === 'active'
    lane.lowWater = lowWater
    lane.leftOutBytes = leftOutBytes
    this.#index(route)
  }

  /** A read of a lane began: it answers the hints that came before. */
  readBegan(route: Route, kind: LaneKind): void {
    route.lanes[kind].isHinted = false
    this.#index(route)
  }

  /** The head of a lane was read at this time. @param hasRows it brought rows, up to which the lane is read now. */
  headRead(route: Route, kind: LaneKind, atMs: number, hasRows: boolean): void {
    const lane = route.lanes[kind]
    lane.headReadMs = atMs
    if (hasRows) lane.cursorUs = null
  }

  /** The lane was read up to this row. */
  readTo(route: Route, kind: LaneKind, dueUs: number): void {
    const lane = route.lanes[kind]
    if (lane.cursorUs === null || dueUs > lane.cursorUs) lane.cursorUs = dueUs
  }

  /** The next read of the lane begins at its head: something may be due behind its cursor. */
  readFromHead(route: Route): void {
    for (const kind of laneKinds) Object.assign(route.lanes[kind], { cursorUs: null, isHinted: true })
    this.#index(route)
  }

  /** A hint arrived. @returns whether the lane should be read now; else the hint is kept until little is left. */
  hint(route: Route, kind: LaneKind): boolean {
    const lane = route.lanes[kind]
    if (!lane.hasMore && lane.waiting.size <= lane.lowWater) return true
    lane.isHinted = true
    this.#index(route)
    return false
  }

  /** Forgets what waits on a route and how far it was read, but not what is in flight. @returns what waited. */
  clear(route: Route, atRead: number): Delivery[] {
    route.clearedAtRead = atRead
    const dropped: Delivery[] = []
    for (const kind of laneKinds) {
      const lane = route.lanes[kind]
      dropped.push(...lane.waiting)
      lane.waiting.clear()
      Object.assign(lane, unread, { waitingBytes: 0 })
    }
    this.#index(route)
    return dropped
  }

  /** Forgets what waits on routes of these slots, but not what is in flight. */
  forgetSlots(slots: readonly number[], atRead: number): Delivery[] {
    const dropped: Delivery[] = []
    for (const route of this.#routes.values()) {
      if (!slots.includes(route.slot)) continue
      dropped.push(...this.clear(route, atRead))
      if (route.inFlight === 0) this.#routes.delete(route.name)
    }
    return dropped
  }

  /**
   * Forgets routes that have been quiet since `beforeMs`. A route in trouble stays while its slot is ours, or failures
   * further apart than that would never open its breaker; a hungry one is read first.
   */
  prune(beforeMs: number, isOwned: (slot: number) => boolean): void {
    for (const route of this.#routes.values()) {
      const { first, retry } = route.lanes
      if (!route.isQuiet || first.isHinted || retry.isHinted || route.hasTimer) continue
      const { state, isFailing } = route.health
      if ((state !== 'active' || isFailing) && isOwned(route.slot)) continue
      if (Math.max(first.headReadMs, retry.headReadMs) < beforeMs) this.#routes.delete(route.name)
    }
  }

  #takeOnProbation(kind: LaneKind, nowMs: number): Delivery | null {
    if (this.#onProbation >= this.#dependencies.maxOnProbation) return null
    return this.#take(this.#probation[kind], kind, nowMs)
  }

  #take(turns: ReadonlySet<Route>, kind: LaneKind, nowMs: number): Delivery | null {
    for (const route of turns) {
      if (!this.#takeToken(route, nowMs)) continue
      const lane = route.lanes[kind]
      const [delivery] = lane.waiting
      if (delivery === undefined) throw new Error(`route ${route.name} has a turn but nothing to send`)
      lane.waiting.delete(delivery)
      lane.waitingBytes -= delivery.bytes
      route.inFlight += 1
      if (kind === 'retry') route.retriesInFlight += 1
      this.#sent[kind] += 1
      this.#leave(route)
      this.#index(route)
      return delivery
    }
    return null
  }

  /** Takes a token of the route's rate; without one, the route waits for a timer. */
  #takeToken(route: Route, nowMs: number): boolean {
    const perSecond = this.#dependencies.limitsOf(route.businessId)?.ratePerSecond ?? null
    // A changed rate begins with an empty bucket.
    if (perSecond !== (route.rateLimit?.perSecond ?? null)) {
      route.rateLimit = perSecond === null ? null : new RateLimit(perSecond, nowMs)
    }
    if (route.rateLimit === null || route.rateLimit.take(nowMs)) return true
    this.#waitFor(route, route.rateLimit.waitMs())
    return false
  }

  #waitFor(route: Route, ms: number): void {
    route.hasTimer = true
    this.#index(route)
    setTimeout(
      () => {
        route.hasTimer = false
        this.#index(route)
        this.#dependencies.onReady()
      },
      Math.min(maxTimerMs, ms),
    )
  }

  /** Moves the route behind all others. */
  #leave(route: Route): void {
    for (const kind of laneKinds) {
      this.#own[kind].delete(route)
      this.#probation[kind].delete(route)
    }
  }

  /** Derives the sets from the route's state; a route that stays in a set keeps its place there. */
  #index(route: Route): void {
    const usesOwnPlace = !route.health.isFailing && route.inFlight > route.retriesInFlight
    const onProbation = route.inFlight - (usesOwnPlace ? 1 : 0)
    this.#onProbation += onProbation - route.onProbation
    route.onProbation = onProbation

    const limit = this.#dependencies.limitsOf(route.businessId)?.maxConcurrency ?? defaultRouteConcurrency
    const mayStart = !route.hasTimer && route.inFlight < route.health.allowed(limit)
    for (const kind of laneKinds) {
      const lane = route.lanes[kind]
      const isReady = mayStart && lane.waiting.size > 0
      const own = isReady && hasOwnPlace(route, kind)
      put(this.#own[kind], route, own)
      put(this.#probation[kind], route, isReady && !own)
      put(this.#hungry[kind], route, isHungry(lane))
    }
  }
}

const hasOwnPlace = (route: Route, kind: LaneKind): boolean =>
  kind === 'first' && !route.health.isFailing && route.inFlight === route.retriesInFlight

const isHungry = (lane: Lane): boolean => (lane.hasMore || lane.isHinted) && lane.waiting.size <= lane.lowWater

function put(routes: Set<Route>, route: Route, belongs: boolean): void {
  if (belongs) routes.add(route)
  else routes.delete(route)
}
