import type pg from 'pg'
import type { Config } from '../config.ts'
import { HintListener } from '../database/hints.ts'
import { createPool } from '../database/pool.ts'
import type { Sealer } from '../database/sealing.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { DatabaseClock } from './database-clock.ts'
import type { Delivery } from './delivery.ts'
import { Endpoints } from './endpoints.ts'
import { HealthWriter } from './health-writer.ts'
import { keepHeapSmall } from './heap.ts'
import { HeldDeliveries } from './held-deliveries.ts'
import { Lease } from './lease.ts'
import { ParkedRoutes } from './parked-routes.ts'
import { ReadBudget } from './read-budget.ts'
import { Reader } from './reader.ts'
import { reportSettlements } from './report.ts'
import { laneKinds, slotOf } from './route.ts'
import { RouteHealth } from './route-health.ts'
import { RouteQueues } from './route-queues.ts'
import { Sender } from './sender.ts'
import { type Settlement, Settler } from './settler.ts'

interface DispatcherParts {
  config: Config
  databaseUrl: string
  /** A session-level connection, for `LISTEN`. */
  directUrl: string
  sealer: Sealer
  host: string
  log: Logger
  metrics: Metrics
}

export interface RunningDispatcher {
  ready(): Promise<string | null>
  /** Sends nothing new, finishes what is in flight, records it, and gives the slots away. */
  stop(): Promise<void>
}

/** Two settles, the two lanes' reads, and one for the rest; the lease and `LISTEN` have their own. */
const connections = 5
/** Of the window, what all but the first POSTs of routes may take (see `RouteQueues`). */
const doubtfulShare = 0.75
/** How long a stop waits for the database once the last answer is in, in milliseconds. */
const lastSettleMs = 10_000
/** How long a stop tries to give its slots away, in milliseconds: without a database they will be taken over. */
const lastReleaseMs = 3_000

/** Starts sending what is due; the parts and how they work together are told in each part's own file. */
export function startDispatcher(parts: DispatcherParts): RunningDispatcher {
  keepHeapSmall()
  return new Dispatcher(parts)
}

class Dispatcher implements RunningDispatcher {
  readonly #parts: DispatcherParts
  readonly #clock = new DatabaseClock()
  readonly #held = new HeldDeliveries()
  /** Slots that are being emptied: nothing of them is read or sent any more. */
  readonly #draining = new Set<number>()
  readonly #pool: pg.Pool
  readonly #endpoints: Endpoints
  readonly #queues: RouteQueues
  readonly #healthWriter: HealthWriter
  readonly #sender: Sender
  readonly #settler: Settler
  readonly #lease: Lease
  readonly #readers: readonly Reader[]
  readonly #parkedRoutes: ParkedRoutes
  readonly #listener: HintListener
  /** In flight, or answered and not yet settled. */
  #unsettled = 0
  #stopping = false
  #pumping = false
  #emptied: () => void = () => undefined

  constructor(parts: DispatcherParts) {
    const { config, databaseUrl, directUrl, sealer, host, log } = parts
    this.#parts = parts
    this.#pool = createPool(databaseUrl, config.databaseSchema, 'callbox dispatcher', connections, log)
    const pool = this.#pool
    const endpoints = new Endpoints(pool, sealer)
    this.#endpoints = endpoints
    this.#queues = new RouteQueues({
      limitsOf: (businessId) => endpoints.get(businessId),
      mostDoubtful: Math.max(1, Math.floor(config.dispatcherConcurrency * doubtfulShare)),
      onReady: () => this.#pump(),
    })
    this.#healthWriter = new HealthWriter(pool, () => this.#lease.id, log)
    const health = new RouteHealth({
      writer: this.#healthWriter,
      log,
      metrics: parts.metrics,
      onBlocked: (route) => this.#drop(this.#queues.clear(route)),
      onOpenAgain: ({ businessId }, inMs) => {
        for (const reader of this.#readers) reader.openAgain(businessId, inMs)
      },
    })
    this.#settler = new Settler(pool, (batch, changed) => this.#settled(batch, changed), log)
    const sending = { config: config.webhook, clock: this.#clock, endpoints, health, queues: this.#queues }
    this.#sender = new Sender({ ...sending, settle: (settlement) => this.#settle(settlement) })
    this.#lease = new Lease(
      databaseUrl,
      config.databaseSchema,
      host,
      this.#clock,
      {
        gained: (slots) => this.#gained(slots),
        lost: (slots) => this.#lost(slots),
        tookOver: (slots) => parts.metrics.slotTakeovers.inc(slots),
        idle: (slots, atMost) => this.#idle(slots, atMost),
      },
      log,
    )
    const memory = { held: this.#held, queues: this.#queues, draining: this.#draining, endpoints, health }
    const budget = new ReadBudget(config.dispatcherConcurrency)
    const onRead = () => this.#pump()
    this.#readers = laneKinds.map(
      (kind) => new Reader({ ...memory, kind, pool, lease: this.#lease, budget, log, onRead }),
    )
    this.#parkedRoutes = new ParkedRoutes({ pool, lease: this.#lease, queues: this.#queues, health, log })
    this.#listener = new HintListener(directUrl, config.databaseSchema, (names) => this.#hint(names), log)
    parts.metrics.dispatcherSlots.set(0)
    this.#lease.start()
    for (const reader of this.#readers) reader.start()
    this.#parkedRoutes.start()
    this.#listener.start()
  }

  async ready(): Promise<string | null> {
    return this.#lease.maySend() ? null : 'dispatcher: the lease is not being renewed'
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#listener.stop()
    const stopped = Promise.all([this.#parkedRoutes, ...this.#readers].map((loop) => loop.stop()))
    const left = this.#lease.leave()
    await this.#untilSettled(this.#parts.config.webhook.timeoutMs + lastSettleMs)
    await this.#healthWriter.stop()
    const timer = setTimeout(() => this.#lease.abandon(), lastReleaseMs)
    this.#lease.nudge()
    await left
    clearTimeout(timer)
    await stopped
    await this.#sender.close()
    await this.#pool.end()
  }

  async #untilSettled(longestMs: number): Promise<void> {
    if (this.#unsettled === 0) return
    const timer = setTimeout(() => {
      this.#settler.giveUp()
      this.#emptied()
    }, longestMs)
    await new Promise<void>((resolve) => {
      this.#emptied = resolve
    })
    clearTimeout(timer)
  }

  /** A new event is a first attempt; of requeued deliveries and parked routes the next sweep tells. */
  #hint(names: readonly string[]): void {
    const [first, retry] = this.#readers
    first?.hint(names)
    if (names.length === 0) retry?.hint(names)
  }

  #gained(slots: readonly number[]): void {
    for (const slot of slots) this.#draining.delete(slot)
    this.#parts.metrics.dispatcherSlots.set(this.#lease.owned.size)
    for (const reader of this.#readers) reader.sweepNow()
  }

  #lost(slots: readonly number[]): void {
    this.#parts.metrics.dispatcherSlots.set(this.#lease.owned.size)
    this.#forget(slots)
    for (const reader of this.#readers) reader.lost(slots)
    this.#endpoints.keepOnly((businessId) => this.#lease.owned.has(slotOf(businessId)))
    for (const slot of slots) this.#draining.delete(slot)
  }

  /** What only waits is forgotten, so that the slot is idle as soon as what is in flight is settled. */
  #idle(slots: readonly number[], atMost: number): number[] {
    const idle = slots.filter((slot) => this.#held.isIdle(slot)).slice(0, atMost)
    const more = slots.filter((slot) => !idle.includes(slot)).slice(0, atMost - idle.length)
    const kept = [...this.#draining].filter((slot) => !more.includes(slot))
    for (const slot of kept) this.#draining.delete(slot)
    if (kept.length > 0) for (const reader of this.#readers) reader.sweepNow()
    this.#forget(more)
    for (const slot of more) this.#draining.add(slot)
    return [...idle, ...more.filter((slot) => this.#held.isIdle(slot))]
  }

  #forget(slots: readonly number[]): void {
    this.#drop(this.#queues.forgetSlots(new Set(slots)))
  }

  #drop(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) this.#held.drop(delivery)
  }

  /** Sends as much as the window, the routes' own limits and the lease allow. */
  #pump(): void {
    // What is skipped is settled while it is sent, and would begin again from within.
    if (this.#pumping) return
    this.#pumping = true
    const window = this.#parts.config.dispatcherConcurrency
    const nowMs = performance.now()
    try {
      while (!this.#stopping && this.#unsettled < window && this.#lease.maySend()) {
        const turn = this.#queues.next(nowMs)
        if (turn === null) break
        this.#unsettled += 1
        this.#sender.send(turn)
      }
    } finally {
      this.#pumping = false
    }
    for (const reader of this.#readers) reader.wakeIfHungry()
  }

  #settle(settlement: Settlement): void {
    this.#settler.add(settlement)
    this.#pump()
  }

  #settled(batch: readonly Settlement[], changed: (settlement: Settlement) => boolean): void {
    this.#held.settled(batch.map(({ delivery }) => delivery))
    this.#unsettled -= batch.length
    reportSettlements(batch, changed, this.#clock.now(), this.#parts)
    let drained = false
    for (const { delivery, outcome } of batch) {
      if (outcome.status === 'pending') this.#readers[1]?.dueLater(delivery.businessId, outcome.waitMs)
      drained ||= this.#draining.size > 0 && this.#isDrained(delivery.route.slot)
    }
    if (drained) this.#lease.nudge()
    if (this.#unsettled === 0) this.#emptied()
    this.#pump()
  }

  #isDrained(slot: number): boolean {
    return this.#draining.has(slot) && this.#held.isIdle(slot)
  }
}
