/**
 * The lease: who may send for a slot.
 *
 * **What is promised.** At most one living dispatcher sends for a slot. The fence in each row (see `migrations/007_callbox_settle.ts`)
 * protects what is stored even when that fails; the lease keeps receivers from being called twice.
 *
 * **Who trusts what, for how long, by which clock.**
 * - A dispatcher trusts its own right to send for 2 s after it *began* its last renewal that worked, by its own
 *   monotonic clock. It asks `maySend()` right before each POST.
 * - An observer trusts that a dispatcher is dead when it has seen one and the same beat for 3 s, by its own monotonic
 *   clock, over reads that worked without a gap. It then deletes that dispatcher's row on condition of that very beat,
 *   so a renewal that comes first wins.
 * - The observer's 3 s begin after the beat was committed, and the owner's 2 s begin before it was: so the owner stopped
 *   a second before its slots are free, if both clocks run at the same rate to within a third. No wall clock takes part,
 *   and no two machines' clocks are compared.
 * - Slots of owners that are not in `dispatchers` are free. Ids are made anew for each start and after each burial, so
 *   an absent owner never comes back, and a claim names the absent owner that it saw.
 *
 * **What it does not promise.** A process that is stopped between `maySend()` and the POST, or whose POST is still on
 * its way when its slots are taken, sends what its successor may send too: at most what was in flight.
 *
 * **When the database is away** nothing is renewed, so after 2 s nothing is sent; results that were learned are kept.
 * When it is back, a dispatcher that nobody has buried goes on; a buried one joins again under a new id, with no slots.
 */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { createGuardedPool } from '../../database/pool.ts'
import { schemaOfConnections } from '../../database/schema.ts'
import { Loop } from '../../lib/loop.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { DatabaseClock } from './database-clock.ts'
import { DeathWatch } from './death-watch.ts'
import { buryDispatcher, claimSlots, joinFleet, leaveFleet, readFleet, releaseSlots, renewBeat } from './membership.ts'
import { type FleetView, planSlots } from './slot-plan.ts'
import type { Slots } from './slots.ts'

const beatMs = 500
/** A nudge never makes a busy loop of it. */
const nudgedMs = 5
/** Sending stops this long after the last renewal that worked was begun. */
const trustMs = 2_000
/** A renewal that takes longer is given up, so that another connection is tried while there is still trust. */
const statementMs = 1_000

export interface LeaseEvents {
  /** Slots are ours from now on. */
  gained(slots: number[]): void
  /** Slots are no longer ours: nothing of theirs may be sent. */
  lost(slots: number[]): void
  /** Of the slots gained before, this many had an owner that was dead. */
  tookOver(slots: number): void
  /**
   * Of `slots`, up to `atMost` of which nothing is in memory. When these are fewer, others are to be emptied, and are
   * asked for again; what was to be emptied before and is not needed any more (`atMost` may be 0) is served again.
   */
  idle(slots: number[], atMost: number): number[]
}

interface LeaseDependencies {
  url: string
  schema: string
  host: string
  clock: DatabaseClock
  slots: Slots
  events: LeaseEvents
  log: Logger
}

interface Renewal {
  beat: string
  database_ms: number
}

export class Lease {
  readonly #pool: pg.Pool
  readonly #host: string
  readonly #clock: DatabaseClock
  readonly #events: LeaseEvents
  readonly #log: Logger
  readonly #slots: Slots
  readonly #loop = new Loop(() => this.#turn())
  #watch = new DeathWatch()
  #id = ''
  #joined = false
  #leaving = false
  #nudged = false
  #renewedMs = Number.NEGATIVE_INFINITY

  constructor({ url, schema, host, clock, slots, events, log }: LeaseDependencies) {
    this.#pool = createGuardedPool(url, 'callbox lease', { max: 2, deadlineMs: statementMs, waitMs: statementMs }, null)
    this.#pool.on('connect', schemaOfConnections(schema))
    this.#host = host
    this.#clock = clock
    this.#slots = slots
    this.#events = events
    this.#log = log
  }

  /** The id under which its slots are owned; another one after a burial. */
  get id(): string {
    return this.#id
  }

  /** Whether a POST may begin now. */
  maySend(): boolean {
    return performance.now() - this.#renewedMs < trustMs
  }

  start(): void {
    this.#loop.start()
  }

  /** Gives idle slots away at once, the others as they become idle, then leaves the fleet. */
  async leave(): Promise<void> {
    this.#leaving = true
    this.nudge()
    await this.#loop.ended()
    if (this.#joined) await this.#pool.query(leaveFleet, [this.#id]).catch(() => undefined)
    await this.#pool.end()
  }

  /** Leaving does not wait for the database: after a while without it the slots are left to be taken over. */
  abandon(): void {
    this.#lose(this.#slots.owned())
    this.nudge()
  }

  /** Asks for a beat now, or right after the one under way: a slot that was to be released has become idle. */
  nudge(): void {
    this.#nudged = true
    setTimeout(() => this.#loop.wake(), nudgedMs)
  }

  async #turn(): Promise<number | null> {
    if (this.#isOver()) return null
    this.#nudged = false
    await this.#beat().catch((err: unknown) => {
      this.#log.warn({ event: 'lease.beat_failed', err }, 'the lease could not be renewed')
    })
    if (this.#isOver()) return null
    return this.#nudged ? nudgedMs : beatMs
  }

  #isOver(): boolean {
    return this.#leaving && this.#slots.owned().length === 0
  }

  async #beat(): Promise<void> {
    if (!this.#joined) {
      // An id for each try: one whose answer was not heard may take effect late, and must not bring back the buried.
      this.#id = randomUUID()
      await this.#pool.query(joinFleet, [this.#id, this.#host])
      this.#joined = true
    }
    const begunMs = performance.now()
    const renewed = await this.#pool.query<Renewal>(renewBeat, [this.#id, this.#leaving])
    const row = renewed.rows[0]
    if (row === undefined) return this.#rejoin()
    this.#clock.set(row.database_ms)
    this.#renewedMs = begunMs

    const { rows } = await this.#pool.query<FleetView>(readFleet)
    const view = rows[0]
    if (view === undefined) return
    this.#reconcile(view)
    await this.#bury(view)
    const plan = planSlots(this.#id, view, this.#leaving)
    if (plan.claim.length > 0) await this.#claim(plan.claim)
    await this.#release(plan.excess, row.beat)
  }

  #rejoin(): void {
    this.#log.warn({ event: 'lease.buried', dispatcher: this.#id }, 'buried by another dispatcher; joining again')
    this.#lose(this.#slots.owned())
    this.#joined = false
    this.#renewedMs = Number.NEGATIVE_INFINITY
    this.#watch = new DeathWatch()
  }

  /** The table is the truth: a claim or a release whose answer was not heard shows here. */
  #reconcile(view: FleetView): void {
    const ours = view.slots.filter(({ owner }) => owner === this.#id).map(({ slot }) => slot)
    this.#lose(this.#slots.owned().filter((slot) => !ours.includes(slot)))
    this.#gain(ours)
  }

  async #bury(view: FleetView): Promise<void> {
    for (const { id, beat } of this.#watch.observe(view.dispatchers, performance.now())) {
      if (id === this.#id) continue
      const { rowCount } = await this.#pool.query(buryDispatcher, [id, beat])
      // None: it renewed in time, and its slots are not free.
      if (!rowCount) continue
      this.#log.warn({ event: 'lease.buried_other', dispatcher: id }, 'a dispatcher stopped; its slots are free')
      view.dispatchers = view.dispatchers.filter((dispatcher) => dispatcher.id !== id)
    }
  }

  async #claim(wanted: { slot: number; owner: string | null }[]): Promise<void> {
    const slots = wanted.map(({ slot }) => slot)
    const owners = wanted.map(({ owner }) => owner ?? '')
    const { rows } = await this.#pool.query<{ slot: number }>(claimSlots, [this.#id, slots, owners])
    const claimed = rows.map(({ slot }) => slot)
    this.#gain(claimed)
    this.#events.tookOver(wanted.filter(({ slot, owner }) => owner !== null && claimed.includes(slot)).length)
  }

  async #release(excess: number, beat: string): Promise<void> {
    const idle = this.#events.idle(this.#slots.owned(), excess)
    if (idle.length === 0) return
    // Given up in memory first: nothing may begin while the statement is on its way.
    this.#lose(idle)
    await this.#pool.query(releaseSlots, [this.#id, idle, beat])
  }

  #gain(slots: number[]): void {
    const gained = slots.filter((slot) => !this.#slots.isOwned(slot))
    if (gained.length === 0) return
    this.#slots.gain(gained)
    const owned = this.#slots.owned().length
    this.#log.info({ event: 'lease.gained', dispatcher: this.#id, slots: gained.length, owned }, `owns ${owned} slots`)
    this.#events.gained(gained)
  }

  #lose(slots: number[]): void {
    if (slots.length === 0) return
    this.#slots.lose(slots)
    const owned = this.#slots.owned().length
    this.#log.info({ event: 'lease.lost', dispatcher: this.#id, slots: slots.length, owned }, `owns ${owned} slots`)
    this.#events.lost(slots)
  }
}
