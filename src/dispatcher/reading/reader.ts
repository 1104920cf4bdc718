import pg from 'pg'
import { routeName } from '../../database/hints.ts'
import { PlannedStatement } from '../../database/planned-statement.ts'
import { Loop } from '../../lib/loop.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Lease } from '../lease/lease.ts'
import { type Slots, slotOf } from '../lease/slots.ts'
import type { HealthKeeper } from '../routes/health-keeper.ts'
import { directions, type LaneKind, type Route } from '../routes/route.ts'
import type { RouteQueues } from '../routes/route-queues.ts'
import type { Endpoints } from '../sending/endpoints.ts'
import type { Window } from '../window.ts'
import type { Held } from './held.ts'
import { probeHeadStartMs, takeRows } from './intake.ts'
import { allowanceOf, isRoomForMore, isTimeForMore } from './lane-shares.ts'
import { ReadBudget } from './read-budget.ts'
import { type DueRow, parseDueRow, readDueOfBusinesses, readDueOfSlots } from './read-due.ts'
import { compareIds, headAgainMs, isReached, planRead, type RoutePlace } from './read-plan.ts'
import type { ReadSequence } from './read-sequence.ts'

const busySweepMs = 250
const idleSweepMs = 1_000
/** The rest after a sweep of very many routes, as a multiple of its duration (bench/NOTES.md, "restForSweep"). */
const restForSweep = 12
const retryMs = 200
/** How long a read by name waits when the one before it brought nothing new. */
const nothingNewMs = 5
/** A delivery due sooner than this gets its own timer; the sweep finds the rest. */
const maxTimerMs = 30_000
/** A plan made for few rows reads all of them, so reads are planned each time until then (bench/NOTES.md, "plannedFrom"). */
const plannedFrom = 1_000
/** The row of an open breaker is written shortly after the time of the next probe is known. */
const rowLagMs = 50

/** Columns in PostgreSQL's binary format: payloads as the bytes to be sent, copied from the buffer of the connection. */
const binaryColumns = {
  getTypeParser: (oid: number) =>
    oid === pg.types.builtins.JSON ? (bytes: Buffer) => Buffer.from(bytes) : (bytes: Buffer) => bytes.toString('utf8'),
} as unknown as pg.CustomTypesConfig

interface ReaderDependencies {
  kind: LaneKind
  pool: pg.Pool
  lease: Lease
  slots: Slots
  reads: ReadSequence
  held: Held
  queues: RouteQueues
  endpoints: Endpoints
  health: HealthKeeper
  window: Window
  log: Logger
  /** Something may be ready to send. */
  onRead: () => void
}

/**
 * Keeps the lanes of one kind filled: reads routes named by hints, reads more of those with a backlog, and sweeps all routes.
 */
export class Reader {
  readonly #dependencies: ReaderDependencies
  readonly #budget: ReadBudget
  readonly #ofBusinesses = new PlannedStatement(readDueOfBusinesses, { binary: true, types: binaryColumns })
  readonly #ofSlots = new PlannedStatement(readDueOfSlots, { binary: true, types: binaryColumns })
  readonly #loop = new Loop(() => this.#turn())
  /** Names of routes. */
  readonly #hinted = new Set<string>()
  #sweepAfter = '0'
  #sweepDueMs = 0
  /** The last read was a sweep, or a part of one: routes wanted by name have the next turn. */
  #sweptLast = false
  /** The route at which the last read by name was cut off: its large payloads must not hide the routes after it. */
  #cutAt: RoutePlace | null = null
  /** The number of deliveries sent when `#wanted` last looked for lanes to fill. */
  #sentBefore = 0
  #readSoFar = 0

  constructor(dependencies: ReaderDependencies) {
    this.#dependencies = dependencies
    this.#budget = new ReadBudget(dependencies.window)
  }

  start(): void {
    this.#loop.start()
  }

  stop(): Promise<void> {
    return this.#loop.stop()
  }

  /** @param names of routes, such as `10:inbound`; none: any route may have new deliveries. */
  hint(names: readonly string[]): void {
    if (names.length === 0) this.sweepNow()
    for (const name of names) {
      const [, businessId = '', direction] = /^(\d{1,19}):(inbound|outbound)$/.exec(name) ?? []
      if (direction === undefined || !this.#isOurs(businessId)) continue
      this.#hinted.add(name)
      this.#loop.wake()
    }
  }

  /** A delivery of this business will be due: short waits are exact, longer ones are found by the sweep. */
  dueLater(businessId: string, waitMs: number): void {
    if (waitMs <= maxTimerMs) setTimeout(() => this.#hintBusiness(businessId), waitMs).unref()
  }

  /** The route may be sent to after this time; 0: now. */
  openAgain(businessId: string, inMs: number): void {
    this.dueLater(businessId, inMs === 0 ? 0 : inMs + rowLagMs + probeHeadStartMs[this.#dependencies.kind])
  }

  /** A lane has little left in memory, and it may be time to read more. */
  wakeIfHungry(): void {
    const { queues, kind } = this.#dependencies
    if (queues.hungry(kind).size === 0) return
    const { routes } = this.#budget
    if (queues.readyCount(kind) < routes || queues.sent(kind) - this.#sentBefore >= routes) this.#loop.wake()
  }

  sweepNow(): void {
    this.#sweepDueMs = 0
    this.#loop.wake()
  }

  #hintBusiness(businessId: string): void {
    if (!this.#isOurs(businessId)) return
    for (const direction of directions) this.#hinted.add(routeName(businessId, direction))
    this.#loop.wake()
  }

  #isOurs(businessId: string): boolean {
    return this.#dependencies.slots.isOwned(slotOf(businessId))
  }

  /** One read, if there is something to read. @returns how long to rest, in milliseconds. */
  async #turn(): Promise<number> {
    const { lease, slots, log } = this.#dependencies
    if (!lease.maySend() || slots.owned().length === 0) return retryMs
    if (this.#budget.bytes === 0) return nothingNewMs
    const businesses = this.#whatToRead()
    if (businesses?.size === 0) return Math.max(1, this.#sweepDueMs - performance.now())
    try {
      const taken = await this.#read(businesses)
      // All rows that it returned are already in memory: only an answer or a settle makes room for more.
      return taken === 0 && businesses !== null && this.#hinted.size === 0 ? nothingNewMs : 0
    } catch (err) {
      log.warn({ event: 'read.failed', err }, 'due deliveries could not be read')
      this.#sweepDueMs = 0
      return retryMs
    }
  }

  /** @returns `null`: a sweep. Routes wanted by name have their turn between its parts. */
  #whatToRead(): Set<string> | null {
    const sweepIsDue = performance.now() >= this.#sweepDueMs
    const wanted = sweepIsDue && !this.#sweptLast ? null : this.#takeWanted()
    this.#sweptLast = sweepIsDue && (wanted === null || wanted.size === 0)
    return this.#sweptLast ? null : wanted
  }

  /**
   * The businesses named by hints, and those whose lanes have more to read and little left in memory. A hint for
   * a lane that has enough waits until it runs low: reads of more routes at once cost less (bench/NOTES.md, "hints").
   */
  #takeWanted(): Set<string> {
    const { queues, kind } = this.#dependencies
    const businesses = new Set<string>()
    for (const name of this.#hinted) {
      const route = queues.named(name)
      if (route === undefined || queues.hint(route, kind)) businesses.add(businessOf(name))
    }
    this.#hinted.clear()
    this.#sentBefore = queues.sent(kind)
    if (!isTimeForMore(queues, kind, this.#budget)) return businesses
    // As many as one read can serve; the next read finds the others instead of being cut off before them.
    const places = Math.max(1, Math.floor(this.#budget.rows / allowanceOf(queues, kind, this.#budget)))
    const hungry = this.#takeHungry(places)
    for (const businessId of hungry) businesses.add(businessId)
    return businesses
  }

  /** Businesses with a hungry lane that fits into memory, starting where the last read was cut off. */
  #takeHungry(places: number): Set<string> {
    const { queues, kind } = this.#dependencies
    const businesses = new Set<string>()
    for (const route of queues.hungry(kind)) {
      if (businesses.size === places) break
      if (this.#isForLater(route)) continue
      businesses.add(route.businessId)
    }
    if (businesses.size > 0 || this.#cutAt === null) return businesses
    this.#cutAt = null
    return this.#takeHungry(places)
  }

  #isForLater(route: Route): boolean {
    const { kind, window } = this.#dependencies
    return (this.#cutAt !== null && isReached(route, this.#cutAt)) || !isRoomForMore(route, kind, window)
  }

  /** @returns the hints that a sweep beginning here answers. */
  #takeHints(sweepAfter: string): string[] {
    const names = [...this.#hinted].filter((name) => compareIds(businessOf(name), sweepAfter) > 0)
    for (const name of names) this.#hinted.delete(name)
    return names
  }

  /**
   * @param businesses `null`: sweep all routes.
   * @returns how many deliveries were new.
   */
  async #read(businesses: ReadonlySet<string> | null): Promise<number> {
    const { kind, pool, slots, reads, held, queues, endpoints } = this.#dependencies
    const nowMs = performance.now()
    const sweepAfter = this.#sweepAfter
    const allowance = allowanceOf(queues, kind, this.#budget)
    const hints = businesses === null ? this.#takeHints(sweepAfter) : []
    if (businesses === null) {
      // A sweep requested from now on follows this one.
      this.#sweepDueMs = Number.POSITIVE_INFINITY
      queues.prune(nowMs - headAgainMs, (slot) => slots.isOwned(slot))
    }
    const known = businesses ? this.#routesOf(businesses) : [...queues.routes()]
    const read = reads.begin()
    const isForLater = (route: Route): boolean => this.#isForLater(route)
    const plan = planRead(known, { read, kind, held, sweepAfter: businesses ? null : sweepAfter, isForLater, nowMs })
    for (const route of plan.scope) queues.readBegan(route, kind)
    const { rows: maxRows, bytes: maxBytes } = this.#budget
    const scope = businesses ? [...businesses] : sweepAfter
    const lane = kind === 'retry' ? 1 : 0
    const [cursors, inMemory] = [JSON.stringify(plan.cursors), JSON.stringify(plan.held)]
    const values = [slots.readable(), allowance, cursors, maxRows, scope, lane, inMemory, maxBytes]
    try {
      const statement = businesses ? this.#ofBusinesses : this.#ofSlots
      const answer = await statement.run<RawRow>(pool, values, this.#readSoFar >= plannedFrom)
      const rows = answer.map(({ fields, payload }) => parseDueRow(fields, payload))
      this.#readSoFar += rows.length
      const revisions = new Map(rows.map(({ businessId, revision }) => [businessId, revision]))
      if (await endpoints.refresh(revisions, waitingOf(known))) queues.limitsChanged()
      const cut = isCut(rows, maxRows, maxBytes) ? rows.at(-1) : undefined
      for (const route of plan.fromHead) if (!cut || isReached(route, cut)) queues.headRead(route, kind, nowMs, false)
      if (cut) this.#hintAgain(businesses ?? hints.map(businessOf), cut.businessId)
      const taken = takeRows(this.#dependencies, rows, plan, { allowance, cut })
      if (businesses === null) this.#planSweep(cut, performance.now() - nowMs)
      else this.#cutAt = cut ? { businessId: cut.businessId, direction: cut.direction } : null
      this.#dependencies.onRead()
      return taken
    } finally {
      reads.end(read)
      held.forgetSettled()
    }
  }

  /** A read that was cut off did not reach these; nothing else names the ones that are not in memory. */
  #hintAgain(businesses: Iterable<string>, cutAt: string): void {
    for (const businessId of businesses) if (compareIds(businessId, cutAt) > 0) this.#hintBusiness(businessId)
  }

  #routesOf(businesses: ReadonlySet<string>): Route[] {
    const routes: Route[] = []
    for (const businessId of businesses) {
      for (const direction of directions) {
        const route = this.#dependencies.queues.find(businessId, direction)
        if (route) routes.push(route)
      }
    }
    return routes
  }

  /** A sweep that was cut off continues after that business; otherwise the next one starts over, later. */
  #planSweep(cut: DueRow | undefined, tookMs: number): void {
    const startedInTheMiddle = this.#sweepAfter !== '0'
    this.#sweepAfter = cut?.businessId ?? '0'
    const sweepMs = this.#dependencies.held.isEmpty ? idleSweepMs : busySweepMs
    const restMs = cut || startedInTheMiddle ? 0 : Math.max(sweepMs, tookMs * restForSweep)
    this.#sweepDueMs = Math.min(this.#sweepDueMs, performance.now() + restMs)
  }
}

interface RawRow {
  fields: string
  payload: Buffer | null
}

/** Whether a read ended with one of its limits, so that there may be more. */
function isCut(rows: readonly DueRow[], maxRows: number, maxBytes: number): boolean {
  return rows.length >= maxRows || rows.reduce((sum, { bytes }) => sum + bytes, 0) >= maxBytes
}

/** @param name of a route. */
const businessOf = (name: string): string => name.slice(0, name.indexOf(':'))

/** Businesses that have something waiting: a corrected URL serves their next attempt. */
function waitingOf(routes: readonly Route[]): Set<string> {
  const businesses = new Set<string>()
  for (const route of routes) if (route.waiting > 0) businesses.add(route.businessId)
  return businesses
}
