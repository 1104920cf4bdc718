import type { Knex } from 'knex'
import { codeOf } from '../database/errors.ts'
import { within } from '../lib/within.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { CallbackKind } from './callback.ts'
import { CallbackSpool, type SpooledCallback } from './callback-spool.ts'
import { storeCallback } from './callback-store.ts'
import { isUnstorable, SpoolReplay, storeDeadlineMs } from './spool-replay.ts'

/** How long the disk may take, in milliseconds. Twilio waits 15 s for disk and database together. */
const spoolDeadlineMs = 5_000
/** How long the database is not tried after a failure, in milliseconds. */
const retryMs = 500
/** How often the spool is checked for files of other processes, in milliseconds. */
const refreshMs = 10_000

/** `repeated`: it was stored before. */
export type Taken = 'stored' | 'repeated' | 'spooled'

/** The state of the spool. */
export interface SpoolState {
  waiting: number
  /** 0: none waits. */
  oldestSeconds: number
  damaged: number
  /** Why nothing can be written to it; `null`: it can. */
  unusable: string | null
}

interface IntakeDependencies {
  home: string
  knex: Knex
  log: Logger
}

/**
 * Accepts signed callbacks: into the database, or onto disk while the database is away.
 *
 *   direct ── a store fails or takes 5 s ──▶ spooling ── the spool is empty ──▶ direct
 *
 * While entries wait, new ones queue behind them, so a process stores its callbacks in order of arrival. There is no order
 * between processes, and matching needs none. A store that failed may have been committed: the entry is then a repeated
 * callback, which changes nothing.
 */
export class CallbackIntake {
  readonly #knex: Knex
  readonly #log: Logger
  readonly #spool: CallbackSpool
  readonly #replay: SpoolReplay
  #onStored: () => void = () => undefined
  /** The database is not tried before this time (`performance.now()`). Written by #databaseFailed and by a successful replay. */
  #awayUntilMs = Number.NEGATIVE_INFINITY
  #unusable: string | null = null
  /** Whether keeping callbacks on disk has been logged. */
  #isAnnounced = false
  #replaying: Promise<void> | null = null
  #isPrepared = false
  #refreshedMs = Number.NEGATIVE_INFINITY
  #stopping = false
  /** Whether the replay rests because nothing waits, rather than because the database is away. */
  #isIdle = false
  #endRest: () => void = () => undefined

  constructor({ home, knex, log }: IntakeDependencies) {
    this.#knex = knex
    this.#log = log
    this.#spool = new CallbackSpool(home)
    this.#replay = new SpoolReplay(this.#spool, knex, log, {
      stored: () => {
        this.#awayUntilMs = Number.NEGATIVE_INFINITY
        this.#onStored()
      },
      away: (error) => this.#databaseFailed(error),
    })
  }

  /** Starts the replay. An unusable spool is logged: callbacks are then refused while the database is away. */
  async start(): Promise<void> {
    await this.#prepare()
    this.#replaying = this.#replayAll()
  }

  /** Stops the replay. Entries on disk stay there for the next start. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#endRest()
    await this.#replaying
    const { waiting } = this.#spool
    if (waiting > 0) this.#log.warn({ event: 'spool.kept', waiting }, `${waiting} callbacks stay on disk`)
  }

  /** @param onStored called after each store. */
  onStored(onStored: () => void): void {
    this.#onStored = onStored
  }

  get state(): SpoolState {
    const { waiting, damaged } = this.#spool
    const oldestAt = this.#spool.oldestAt()
    const oldestSeconds = oldestAt === null ? 0 : Math.max(0, (Date.now() - oldestAt) / 1000)
    return { waiting, oldestSeconds, damaged, unusable: this.#unusable }
  }

  /** @throws Error when both database and disk fail, or the database can never store it. */
  async take(kind: CallbackKind, query: string, body: string): Promise<Taken> {
    const name = this.#spool.newName()
    const callback: SpooledCallback = { kind, query, body, receivedAt: new Date() }
    const isDirect = this.#spool.waiting === 0 && performance.now() >= this.#awayUntilMs
    if (isDirect) {
      try {
        return await this.#storeNow(callback)
      } catch (error) {
        if (isUnstorable(error)) throw error
        this.#databaseFailed(error)
      }
    }
    try {
      await within(spoolDeadlineMs, 'the disk', this.#spool.append(name, callback))
      this.#unusable = null
    } catch (error) {
      this.#spoolFailed(error)
      if (isDirect) throw error
      return await this.#storeNow(callback)
    }
    if (this.#isIdle) this.#endRest()
    return 'spooled'
  }

  async #storeNow({ kind, query, body }: SpooledCallback): Promise<Taken> {
    const result = await within(storeDeadlineMs, 'the database', storeCallback(this.#knex, { kind, query, body }))
    this.#onStored()
    return result
  }

  async #prepare(): Promise<void> {
    try {
      await this.#spool.prepare()
      this.#isPrepared = true
      this.#unusable = null
      const { waiting } = this.#spool
      if (waiting > 0) this.#log.warn({ event: 'spool.found', waiting }, `${waiting} callbacks are on disk`)
    } catch (error) {
      this.#spoolFailed(error)
    }
  }

  async #tryOut(): Promise<void> {
    await this.#spool.tryOut().then(
      () => {
        this.#unusable = null
      },
      (error: unknown) => this.#spoolFailed(error),
    )
  }

  async #replayAll(): Promise<void> {
    while (!this.#stopping) {
      if (!this.#isPrepared) await this.#prepare()
      else if (this.#unusable !== null) await this.#tryOut()
      const replayed = this.#isPrepared ? await this.#replayOnce() : 0
      if (replayed > 0 && this.#spool.ready > 0) continue
      this.#isIdle = this.#spool.ready === 0
      await this.#rest(this.#isIdle ? refreshMs : retryMs)
      this.#isIdle = false
    }
  }

  #rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#endRest = resolve
    const timer = setTimeout(resolve, this.#stopping ? 0 : ms)
    return promise.finally(() => clearTimeout(timer))
  }

  /** One round over all waiting entries. @returns how many were stored. */
  async #replayOnce(): Promise<number> {
    const replayed = await this.#replay.run(
      () => this.#refresh(),
      () => this.#stopping,
    )
    if (replayed > 0)
      this.#log.info({ event: 'spool.replayed', replayed }, `${replayed} callbacks from disk are stored`)
    if (this.#spool.waiting === 0) this.#isAnnounced = false
    return replayed
  }

  async #refresh(): Promise<void> {
    if (performance.now() - this.#refreshedMs < refreshMs) return
    await this.#spool.refresh()
    this.#refreshedMs = performance.now()
  }

  #databaseFailed(err: unknown): void {
    this.#awayUntilMs = performance.now() + retryMs
    const text = 'the database does not accept callbacks; they are kept on disk'
    if (this.#isAnnounced) this.#log.debug({ event: 'spool.waiting', err }, text)
    else this.#log.warn({ event: 'spool.started', err }, text)
    this.#isAnnounced = true
  }

  #spoolFailed(err: unknown): void {
    if (this.#unusable === null) {
      const { directory } = this.#spool
      this.#log.error({ event: 'spool.unusable', directory, err }, 'callbacks cannot be kept on disk')
    }
    this.#unusable = codeOf(err) || (err instanceof Error ? err.message : String(err))
  }
}
