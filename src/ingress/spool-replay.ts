import type { Knex } from 'knex'
import { isDatabaseAway } from '../database/away.ts'
import { codeOf } from '../database/errors.ts'
import { NotInTime, within } from '../lib/within.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type CallbackSpool, DamagedEntry, type SpooledCallback } from './callback-spool.ts'
import { canStore, storeCallback, storeCallbacks } from './callback-store.ts'

/** How long the database may take, in milliseconds. */
export const storeDeadlineMs = 5_000
/** Entries stored by one statement. */
const batchSize = 100
/** An entry that failed this often while the database could store others is set aside. */
const maxFailures = 3

/** Errors of Node that say nothing about the file: it is read again, however often that takes. */
const passingErrors = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EBUSY', 'EINTR', 'ESTALE', 'ETIMEDOUT'])

interface Entry {
  name: string
  callback: SpooledCallback
}

interface ReplayEvents {
  /** Called after each statement that stored entries. */
  stored(): void
  /** The database does not accept them now. */
  away(error: unknown): void
}

/** Stores the entries of a spool, oldest first. An entry that cannot be stored, read or removed does not hold up others. */
export class SpoolReplay {
  readonly #spool: CallbackSpool
  readonly #knex: Knex
  readonly #log: Logger
  readonly #events: ReplayEvents
  /** How often an entry failed, in reading or storing. Written by #countFailure, #setAside and #finish. */
  readonly #failures = new Map<string, number>()
  /** Entries that are stored but could not be removed. Written by #finish and #remove. */
  readonly #storedAlready = new Set<string>()
  /** Whether the failing disk has been logged. */
  #isAnnounced = false

  constructor(spool: CallbackSpool, knex: Knex, log: Logger, events: ReplayEvents) {
    this.#spool = spool
    this.#knex = knex
    this.#log = log
    this.#events = events
  }

  /** One round over all waiting entries, until the database fails or `isStopping`. @returns how many were stored. */
  async run(refresh: () => Promise<void>, isStopping: () => boolean): Promise<number> {
    let replayed = 0
    try {
      await refresh()
      const names = this.#spool.names()
      for (let from = 0; from < names.length && !isStopping(); from += batchSize) {
        const { stored, isAway } = await this.#replayBatch(names.slice(from, from + batchSize))
        replayed += stored
        if (isAway) break
      }
    } catch (error) {
      this.#diskFailed(error)
    }
    if (this.#spool.waiting === 0) this.#isAnnounced = false
    return replayed
  }

  /** Stores all in one statement, or one by one if that fails. */
  async #replayBatch(names: string[]): Promise<{ stored: number; isAway: boolean }> {
    const all = await Promise.all(names.map(async (name) => ({ name, callback: await this.#read(name) })))
    const read = all.flatMap(({ name, callback }) => (callback === null ? [] : [{ name, callback }]))
    if (read.length === 0) return { stored: 0, isAway: false }
    try {
      const callbacks = read.map(({ callback }) => callback)
      await within(storeDeadlineMs, 'the database', storeCallbacks(this.#knex, callbacks))
    } catch (error) {
      if (isAway(error)) {
        this.#events.away(error)
        return { stored: 0, isAway: true }
      }
      return await this.#replayOneByOne(read)
    }
    await this.#finish(read)
    return { stored: read.length, isAway: false }
  }

  async #replayOneByOne(entries: Entry[]): Promise<{ stored: number; isAway: boolean }> {
    let stored = 0
    for (const entry of entries) {
      const outcome = await this.#replay(entry)
      if (outcome === 'away') return { stored, isAway: true }
      if (outcome === 'stored') stored += 1
    }
    return { stored, isAway: false }
  }

  /** `null`: nothing to store, or the entry was set aside. */
  async #read(name: string): Promise<SpooledCallback | null> {
    if (this.#storedAlready.has(name)) {
      await this.#remove(name)
      return null
    }
    return await this.#spool.read(name).catch((error: unknown) => this.#readFailed(name, error))
  }

  async #readFailed(name: string, error: unknown): Promise<null> {
    if (isDamage(error)) return await this.#setAside(name, error)
    this.#diskFailed(error)
    if (!passingErrors.has(codeOf(error))) await this.#countFailure(name, error)
    return null
  }

  async #replay(entry: Entry): Promise<'stored' | 'failed' | 'away'> {
    const { name, callback } = entry
    try {
      await within(storeDeadlineMs, 'the database', storeCallback(this.#knex, callback))
    } catch (error) {
      if (isUnstorable(error)) {
        await this.#setAside(name, error)
        return 'failed'
      }
      if (isAway(error) || !(await canStore(this.#knex))) {
        this.#events.away(error)
        return 'away'
      }
      await this.#countFailure(name, error)
      return 'failed'
    }
    await this.#finish([entry])
    return 'stored'
  }

  async #finish(entries: Entry[]): Promise<void> {
    for (const { name } of entries) {
      this.#failures.delete(name)
      this.#storedAlready.add(name)
    }
    this.#events.stored()
    await Promise.all(entries.map(({ name }) => this.#remove(name)))
  }

  /** A disk that has become read-only does not hold up other entries. */
  async #remove(name: string): Promise<void> {
    try {
      await this.#spool.remove(name)
      this.#storedAlready.delete(name)
    } catch (error) {
      this.#diskFailed(error)
    }
  }

  #diskFailed(err: unknown): void {
    const level = this.#isAnnounced ? 'debug' : 'error'
    this.#log[level]({ event: 'spool.replay_failed', err }, 'callbacks on disk cannot be replayed; they are kept')
    this.#isAnnounced = true
  }

  async #countFailure(name: string, error: unknown): Promise<void> {
    const failures = (this.#failures.get(name) ?? 0) + 1
    this.#failures.set(name, failures)
    if (failures >= maxFailures) await this.#setAside(name, error)
  }

  async #setAside(name: string, err: unknown): Promise<null> {
    this.#failures.delete(name)
    try {
      await this.#spool.setAside(name)
      const text = 'a callback on disk cannot be stored; it was set aside'
      this.#log.error({ event: 'spool.set_aside', entry: name, err }, text)
    } catch (error) {
      this.#diskFailed(error)
    }
    return null
  }
}

/** SQLSTATE classes 22, 23 and 54: the same content is refused every time. */
export const isUnstorable = (error: unknown): boolean => /^(22|23|54)...$/.test(codeOf(error))

const isDamage = (error: unknown): boolean =>
  error instanceof DamagedEntry || error instanceof SyntaxError || codeOf(error) === 'EISDIR'

const isAway = (error: unknown): boolean => error instanceof NotInTime || isDatabaseAway(error)
