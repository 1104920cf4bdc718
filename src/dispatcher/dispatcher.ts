import type pg from 'pg'
import type { Config } from '../config.ts'
import { HintListener } from '../database/hints.ts'
import { createPool } from '../database/pool.ts'
import type { Sealer } from '../database/sealing.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Delivery } from './delivery.ts'
import { DatabaseClock } from './lease/database-clock.ts'
import { Lease } from './lease/lease.ts'
import { Slots, slotOf } from './lease/slots.ts'
import { Held } from './reading/held.ts'
import { ReadSequence } from './reading/read-sequence.ts'
import { Reader } from './reading/reader.ts'
import { HealthKeeper } from './routes/health-keeper.ts'
import { HealthStore } from './routes/health-store.ts'
import { laneKinds } from './routes/route.ts'
import { RouteQueues } from './routes/route-queues.ts'
import { Attempts } from './sending/attempts.ts'
import { Endpoints } from './sending/endpoints.ts'
import { reportSettlements } from './settling/report.ts'
import { type Acknowledgement, type Settlement, Settler } from './settling/settler.ts'
import { Window } from './window.ts'

interface DispatcherDependencies {
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
  /** Sends nothing new, finishes what is in flight, records it, and releases the slots. */
  stop(): Promise<void>
}

/** Two settles, the reads of two lanes, and one for the rest; the lease and `LISTEN` have their own. */
const connections = 5
/** How long a stop waits for the database once the last answer is in, in milliseconds. */
const lastSettleMs = 10_000
/** How long a stop tries to release its slots, in milliseconds. Without a database other dispatchers take them over. */
const lastReleaseMs = 3_000

/** Starts sending what is due. */
export function startDispatcher(dependencies: DispatcherDependencies): RunningDispatcher {
  return new Dispatcher(dependencies)
}

/**
 * Connects the five parts: the lease says which slots are ours, readers fill the route queues, `#pump` starts attempts as
 * far as window, routes and lease allow, and the settler records how they ended. `sending/attempts.ts` shows the path
 * of one delivery from top to bottom.
 */
class Dispatcher implements RunningDispatcher {
  readonly #dependencies: DispatcherDependencies
  readonly #clock = new DatabaseClock()
  readonly #reads = new ReadSequence()
  readonly #slots = new Slots(this.#reads)
  readonly #held = new Held(this.#slots, this.#reads)
  readonly #window: Window
  readonly #pool: pg.Pool
  readonly #endpoints: Endpoints
  readonly #queues: RouteQueues
  readonly #healthStore: HealthStore
  readonly #health: HealthKeeper
  readonly #attempts: Attempts
  readonly #settler: Settler
  readonly #lease: Lease
  readonly #readers: readonly Reader[]
  readonly #listener: HintListener
  #stopping = false
  #pumping = false
  #onEmpty: () => void = () => undefined

  constructor(dependencies: DispatcherDependencies) {
    const { config, databaseUrl, directUrl, sealer, host, log, metrics } = dependencies
    this.#dependencies = dependencies
    this.#window = new Window(config.dispatcherConcurrency, config.dispatcherMemoryBytes)
    this.#pool = createPool(databaseUrl, config.databaseSchema, 'callbox dispatcher', connections, log)
    this.#endpoints = new Endpoints(this.#pool, sealer)
    this.#queues = new RouteQueues({
      limitsOf: (businessId) => this.#endpoints.get(businessId),
      maxOnProbation: this.#window.maxOnProbation,
      onReady: () => this.#pump(),
    })
    this.#healthStore = new HealthStore(this.#pool, () => this.#lease.id, log)
    this.#health = new HealthKeeper({
      pool: this.#pool,
      store: this.#healthStore,
      slots: this.#slots,
      queues: this.#queues,
      log,
      metrics,
      onBlocked: (route) => this.#drop(this.#queues.clear(route, this.#reads.next)),
      onOpenAgain: ({ businessId }, inMs) => {
        for (const reader of this.#readers) reader.openAgain(businessId, inMs)
      },
    })
    this.#settler = new Settler(this.#pool, (acknowledgement) => this.#settled(acknowledgement), log)
    this.#attempts = new Attempts({
      config: config.webhook,
      clock: this.#clock,
      endpoints: this.#endpoints,
      health: this.#health,
      queues: this.#queues,
      settle: (settlement) => this.#settle(settlement),
    })
    this.#lease = new Lease({
      url: databaseUrl,
      schema: config.databaseSchema,
      host,
      clock: this.#clock,
      slots: this.#slots,
      events: {
        gained: () => this.#gained(),
        lost: (slots) => this.#lost(slots),
        tookOver: (slots) => metrics.slotTakeovers.inc(slots),
        idle: (slots, atMost) => this.#idle(slots, atMost),
      },
      log,
    })
    this.#readers = laneKinds.map(
      (kind) =>
        new Reader({
          kind,
          pool: this.#pool,
          lease: this.#lease,
          slots: this.#slots,
          reads: this.#reads,
          held: this.#held,
          queues: this.#queues,
          endpoints: this.#endpoints,
          health: this.#health,
          window: this.#window,
          log,
          onRead: () => this.#pump(),
        }),
    )
    this.#listener = new HintListener(directUrl, config.databaseSchema, (names) => this.#hint(names), log)
    metrics.dispatcherSlots.set(0)
    this.#lease.start()
    for (const reader of this.#readers) reader.start()
    this.#listener.start()
  }

  async ready(): Promise<string | null> {
    return this.#lease.maySend() ? null : 'dispatcher: the lease is not being renewed'
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#listener.stop()
    const loopsStopped = Promise.all([this.#health, ...this.#readers].map((loop) => loop.stop()))
    const left = this.#lease.leave()
    await this.#untilSettled(this.#dependencies.config.webhook.timeoutMs + lastSettleMs)
    await this.#healthStore.stop()
    const timer = setTimeout(() => this.#lease.abandon(), lastReleaseMs)
    this.#lease.nudge()
    await left
    clearTimeout(timer)
    await loopsStopped
    await this.#attempts.close()
    await this.#pool.end()
  }

  async #untilSettled(maxMs: number): Promise<void> {
    if (this.#window.posts === 0) return
    const timer = setTimeout(() => {
      this.#settler.giveUp()
      this.#onEmpty()
    }, maxMs)
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
    clearTimeout(timer)
  }

  /** A new event is a first attempt; the next sweep finds requeued deliveries and routes that were unparked. */
  #hint(names: readonly string[]): void {
    const [first, retry] = this.#readers
    first?.hint(names)
    if (names.length === 0) retry?.hint(names)
  }

  #gained(): void {
    this.#dependencies.metrics.dispatcherSlots.set(this.#slots.owned().length)
    for (const reader of this.#readers) reader.sweepNow()
  }

  #lost(slots: readonly number[]): void {
    this.#dependencies.metrics.dispatcherSlots.set(this.#slots.owned().length)
    this.#forget(slots)
    this.#endpoints.keepOnly((businessId) => this.#slots.isOwned(slotOf(businessId)))
  }

  /** Drops deliveries that only wait, so that a slot is idle as soon as those in flight are settled. */
  #idle(slots: readonly number[], atMost: number): number[] {
    const idle = slots.filter((slot) => this.#slots.isIdle(slot)).slice(0, atMost)
    const toDrain = slots.filter((slot) => !idle.includes(slot)).slice(0, atMost - idle.length)
    const kept = this.#slots.draining().filter((slot) => !toDrain.includes(slot))
    if (kept.length > 0) {
      this.#slots.gain(kept)
      for (const reader of this.#readers) reader.sweepNow()
    }
    this.#slots.drain(toDrain)
    this.#forget(toDrain)
    return [...idle, ...toDrain.filter((slot) => this.#slots.isIdle(slot))]
  }

  #forget(slots: readonly number[]): void {
    this.#drop(this.#queues.forgetSlots(slots, this.#reads.next))
  }

  #drop(deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      this.#held.drop(delivery)
      this.#window.drop(delivery)
    }
  }

  /** Starts as many attempts as window, routes and lease allow. */
  #pump(): void {
    // A delivery that ends unsent is settled within `begin`, which would call this method recursively.
    if (this.#pumping) return
    this.#pumping = true
    const nowMs = performance.now()
    try {
      while (!this.#stopping && this.#window.hasRoom && this.#lease.maySend()) {
        const delivery = this.#queues.next(nowMs)
        if (delivery === null) break
        this.#window.send()
        this.#attempts.begin(delivery)
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

  #settled(acknowledgement: Acknowledgement): void {
    const { settlements, freed } = acknowledgement
    const deliveries = settlements.map(({ delivery }) => delivery)
    this.#held.settled(deliveries)
    this.#window.settle(deliveries)
    reportSettlements(acknowledgement, this.#clock.now(), this.#dependencies)
    const [first, retry] = this.#readers
    for (const { delivery, outcome } of settlements) {
      if (outcome.status === 'pending') retry?.dueLater(delivery.route.businessId, outcome.waitMs)
    }
    for (const name of freed) {
      const route = this.#queues.named(name)
      if (route) this.#queues.readFromHead(route)
    }
    if (freed.length > 0) first?.hint(freed)
    if (this.#slots.draining().some((slot) => this.#slots.isIdle(slot))) this.#lease.nudge()
    if (this.#window.posts === 0) this.#onEmpty()
    this.#pump()
  }
}
