import pg from 'pg'
import { routeName } from '../database/hints.ts'
import { PlannedStatement } from '../database/planned-statement.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Endpoints } from './endpoints.ts'
import type { HeldDeliveries } from './held-deliveries.ts'
import { type DueRow, probeHeadStartMs, takeRows } from './intake.ts'
import { allowanceOf, isTimeForMore } from './lane-shares.ts'
import type { Lease } from './lease.ts'
import type { ReadBudget } from './read-budget.ts'
import { compareIds, headAgainMs, isReached, planRead } from './read-plan.ts'
import { directions, type LaneKind, type Route, slotOf } from './route.ts'
import type { RouteHealth } from './route-health.ts'
import type { RouteQueues } from './route-queues.ts'
import { readDueOfBusinesses, readDueOfSlots } from './sql/read-due.ts'

const busySweepMs = 250
const idleSweepMs = 1_000
/**
 * After a sweep of very many routes, rest so many times as long as it took: sweeping is not the main work. 10,000 routes of
 * 10 rows each: 9,200/s with 12, 8,300/s with 5.
 */
const restForSweep = 12
const retryMs = 200
/** How long a read waits that is wanted by name, when the one before it brought nothing new. */
const nothingNewMs = 5
/** What is due sooner than this has a timer of its own. */
const longestTimerMs = 30_000
/**
 * Planned anew each time until so many were read, which takes 0.7 ms: a plan made while there are few payloads reads all of
 * them for each delivery, and goes on to when there are many (500 deliveries of 30,000: 6.3 s instead of 0.1).
 */
const plannedFrom = 1_000
/** An open breaker's row is written a moment after the time of the next probe is known. */
const rowLagMs = 50

/** A payload is never looked into: as bytes it is ready to be sent, and no garbage collection copies it. */
const payloadsAsBytes = {
  getTypeParser: (oid: number, format?: 'text') =>
    oid === pg.types.builtins.JSON ? (text: string) => Buffer.from(text) : pg.types.getTypeParser(oid, format),
} as pg.CustomTypesConfig

interface ReaderParts {
  kind: LaneKind
  pool: pg.Pool
  lease: Lease
  held: HeldDeliveries
  queues: RouteQueues
  endpoints: Endpoints
  health: RouteHealth
  /** Slots that are being emptied: nothing more is read for them. */
  draining: ReadonlySet<number>
  budget: ReadBudget
  log: Logger
  /** Something may be ready to send. */
  onRead: () => void
}

/**
 * Keeps the lanes of one kind filled: with what hints name, with more of what has a backlog, and by sweeping all routes.
 */
export class Reader {
  readonly #parts: ReaderParts
  readonly #ofBusinesses = new PlannedStatement(readDueOfBusinesses, payloadsAsBytes)
  readonly #ofSlots = new PlannedStatement(readDueOfSlots, payloadsAsBytes)
  /** Names of routes. */
  readonly #hinted = new Set<string>()
  readonly #lostDuringRead = new Set<number>()
  #sweepAfter = '0'
  /** The last read was a sweep, or a part of one. */
  #sweptLast = false
  /** How many had been sent when it was last looked whether it is time to read more. */
  #sentBefore = 0
  #sweepDueMs = 0
  #readSoFar = 0
  #stopped = false
  #wake: () => void = () => undefined
  #loop: Promise<void> | null = null

  constructor(parts: ReaderParts) {
    this.#parts = parts
  }

  start(): void {
    this.#loop = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    await this.#loop
  }

  /** Names of routes, `10:inbound`; none: anything may have come. */
  hint(names: readonly string[]): void {
    if (names.length === 0) this.sweepNow()
    for (const name of names) {
      const [, businessId = '', direction] = /^(\d{1,19}):(inbound|outbound)$/.exec(name) ?? []
      if (direction === undefined || !this.#isOurs(businessId)) continue
      this.#hinted.add(name)
      this.#wake()
    }
  }

  /** Something of this business will be due: short waits are kept to the moment, longer ones are found by the sweep. */
  dueLater(businessId: string, waitMs: number): void {
    if (waitMs <= longestTimerMs) setTimeout(() => this.#hintBusiness(businessId), waitMs).unref()
  }

  /** Its breaker closed (0), or lets the next probe through in this time. */
  openAgain(businessId: string, inMs: number): void {
    this.dueLater(businessId, inMs === 0 ? 0 : inMs + rowLagMs + probeHeadStartMs[this.#parts.kind])
  }

  /** Some lane has little left in memory, and it may be time to read more. */
  wakeIfHungry(): void {
    const { queues, kind, budget } = this.#parts
    if (queues.hungry[kind].size === 0) return
    if (queues.turnsOf(kind) < budget.routes || queues.sent(kind) - this.#sentBefore >= budget.routes) this.#wake()
  }

  sweepNow(): void {
    this.#sweepDueMs = 0
    this.#wake()
  }

  /** Rows of these slots that a read under way brings belong to somebody else. */
  lost(slots: readonly number[]): void {
    for (const slot of slots) this.#lostDuringRead.add(slot)
  }

  /** @returns the hints that a sweep from here on answers to. */
  #takeHints(sweepAfter: string): string[] {
    const names = [...this.#hinted].filter((name) => compareIds(businessOf(name), sweepAfter) > 0)
    for (const name of names) this.#hinted.delete(name)
    return names
  }

  #hintBusiness(businessId: string): void {
    if (!this.#isOurs(businessId)) return
    for (const direction of directions) this.#hinted.add(routeName(businessId, direction))
    this.#wake()
  }

  #isOurs(businessId: string): boolean {
    return this.#parts.lease.owned.has(slotOf(businessId))
  }

  async #run(): Promise<void> {
    const { lease, log } = this.#parts
    while (!this.#stopped) {
      if (!lease.maySend() || lease.owned.size === 0) {
        await this.#rest(retryMs)
        continue
      }
      const businesses = this.#whatToRead()
      if (businesses === null || businesses.size > 0) {
        const taken = await this.#read(businesses).catch((err: unknown) => {
          log.warn({ event: 'read.failed', err }, 'due deliveries could not be read')
          this.#sweepDueMs = 0
          return this.#rest(retryMs)
        })
        // What it brought is all in memory already: only an answer or a settle makes room for more.
        if (taken === 0 && businesses !== null && this.#hinted.size === 0) await this.#rest(nothingNewMs)
      } else {
        await this.#rest(Math.max(1, this.#sweepDueMs - performance.now()))
      }
    }
  }

  /** @returns `null`: a sweep. Between its parts what is wanted by name has its turn. */
  #whatToRead(): Set<string> | null {
    const sweepIsDue = performance.now() >= this.#sweepDueMs
    const wanted = sweepIsDue && !this.#sweptLast ? null : this.#takeWanted()
    this.#sweptLast = sweepIsDue && (wanted === null || wanted.size === 0)
    return this.#sweptLast ? null : wanted
  }

  async #rest(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = () => undefined
  }

  /**
   * What was hinted at, and what has more to read and has sent most of what was read of it. A hint for a lane that has
   * enough waits until it has not: reads of more routes at once cost less. Of one that is known to have more a hint tells
   * nothing: it has its turn among the others that have. With 6,000 events/s p50 was 6 to 9 ms so, and 8 to 10 when each
   * hint was read at once.
   */
  #takeWanted(): Set<string> {
    const { queues, kind, budget } = this.#parts
    const businesses = new Set<string>()
    for (const name of this.#hinted) {
      const route = queues.named(name)
      const lane = route?.lanes[kind]
      if (lane && (lane.hasMore || lane.waiting.size > lane.lowWater)) lane.hinted = true
      else businesses.add(businessOf(name))
    }
    this.#hinted.clear()
    this.#sentBefore = queues.sent(kind)
    if (!isTimeForMore(queues, kind, budget)) return businesses
    // As many as a read can serve: the others are found by the next one, and not cut off by it. Whatever was hinted at
    // beside them, or a backlog would wait for the hints of others to end.
    let places = Math.max(1, Math.floor(budget.rows / allowanceOf(queues, kind, budget)))
    for (const { businessId } of queues.hungry[kind]) {
      if (places === 0) break
      places -= 1
      businesses.add(businessId)
    }
    return businesses
  }

  /**
   * @param businesses `null`: sweep all routes.
   * @returns how many deliveries were new.
   */
  async #read(businesses: ReadonlySet<string> | null): Promise<number> {
    const { kind, pool, lease, held, queues, draining, endpoints, budget } = this.#parts
    const nowMs = performance.now()
    const sweepAfter = this.#sweepAfter
    const allowance = allowanceOf(queues, kind, budget)
    const hints = businesses === null ? this.#takeHints(sweepAfter) : []
    if (businesses === null) {
      // A sweep that is asked for from now on follows this one.
      this.#sweepDueMs = Number.POSITIVE_INFINITY
      queues.prune(nowMs - headAgainMs, lease.owned)
    }
    const known = businesses ? this.#routesOf(businesses) : [...queues.routes()]
    const plan = planRead(known, {
      kind,
      held,
      sweepAfter: businesses ? null : sweepAfter,
      nowMs,
    })

    for (const route of plan.scope) route.lanes[kind].hinted = false

    const slots = [...lease.owned].filter((slot) => !draining.has(slot))
    const scope = businesses ? [...businesses] : sweepAfter
    const lane = kind === 'retry' ? 1 : 0
    const most = budget.rows
    const values = [slots, allowance, JSON.stringify(plan.cursors), most, scope, lane, JSON.stringify(plan.held)]
    this.#lostDuringRead.clear()
    const read = held.readBegun()
    let taken = 0
    try {
      const statement = businesses ? this.#ofBusinesses : this.#ofSlots
      const rows = await statement.run<DueRow>(pool, values, this.#readSoFar >= plannedFrom)
      this.#readSoFar += rows.length
      budget.brought(
        rows.length,
        rows.reduce((bytes, { payload }) => bytes + (payload?.length ?? 0), 0),
      )
      const revisions = new Map(rows.map((row) => [row.business_id, row.revision]))
      if (await endpoints.refresh(revisions, waitingOf(known))) queues.limitsChanged()
      const cut = rows.length >= most ? rows.at(-1) : undefined
      for (const route of plan.fromHead) if (!cut || isReached(route, cut)) route.lanes[kind].headReadMs = nowMs
      if (cut) this.#hintAgain(businesses ?? hints.map(businessOf), cut.business_id)
      taken = takeRows(this.#parts, rows, plan, { allowance, cut, lost: this.#lostDuringRead })
      if (businesses === null) this.#planSweep(cut, performance.now() - nowMs)
    } finally {
      held.readEnded(read)
    }
    this.#parts.onRead()
    return taken
  }

  /** A read that was cut did not come to these: nothing else names those of them that are not in memory. */
  #hintAgain(businesses: Iterable<string>, cutAt: string): void {
    for (const businessId of businesses) if (compareIds(businessId, cutAt) > 0) this.#hintBusiness(businessId)
  }

  #routesOf(businesses: ReadonlySet<string>): Route[] {
    const routes: Route[] = []
    for (const businessId of businesses) {
      for (const direction of directions) {
        const route = this.#parts.queues.find(businessId, direction)
        if (route) routes.push(route)
      }
    }
    return routes
  }

  /** A sweep that was cut goes on after the business where it was cut; else the next one begins anew, later. */
  #planSweep(cut: DueRow | undefined, tookMs: number): void {
    const startedInTheMiddle = this.#sweepAfter !== '0'
    this.#sweepAfter = cut?.business_id ?? '0'
    const restMs = Math.max(!this.#parts.held.empty ? busySweepMs : idleSweepMs, tookMs * restForSweep)
    const nextMs = performance.now() + (cut || startedInTheMiddle ? 0 : restMs)
    this.#sweepDueMs = Math.min(this.#sweepDueMs, nextMs)
  }
}

/** @param name of a route. */
const businessOf = (name: string): string => name.slice(0, name.indexOf(':'))

/** Businesses that have something waiting: a corrected URL serves their next attempt. */
function waitingOf(routes: readonly Route[]): Set<string> {
  const businesses = new Set<string>()
  for (const route of routes) if (route.waiting > 0) businesses.add(route.businessId)
  return businesses
}
