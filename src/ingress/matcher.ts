import type { Knex } from 'knex'
import { lockCall } from '../calls/locks.ts'
import { isDatabaseAway } from '../database/away.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type CallAnswer, CallLookup, type Question } from './call-lookup.ts'
import { type CallbackKey, claimDueCallback, postpone, readNewCallback, type StoredCallback } from './callback-store.ts'
import { type MatchContext, type MatchResult, matchCallback } from './match-callback.ts'

interface MatcherDeps extends MatchContext {
  knex: Knex
  log: Logger
}

/** Transactions at once. Callbacks of one call wait for each other, so more than one is only for different calls. */
const lanes = 4
/** A wake may be lost (a crash, another process), so the table is read this often anyway. */
const pollMs = 1_000
/** No other process claims the callback while Twilio is asked: a request takes at most 10 s, and a leg needs two. */
const askingSeconds = 30
const longestWaitSeconds = 300

/** 1, 2, 4, … seconds, at most 5 minutes. */
const waitAfter = (tries: number): number => Math.min(2 ** Math.max(0, tries - 1), longestWaitSeconds)

interface Answered {
  stored: StoredCallback
  answer: CallAnswer | null
}

/**
 * Matches stored callbacks, those of any process: what is `new` and due is taken by whoever comes first. A callback
 * whose match waits for Twilio holds no transaction, and one whose match throws is put off, so neither is in the way.
 */
export class Matcher {
  readonly #deps: MatcherDeps
  readonly #lookup: CallLookup
  readonly #answered: Answered[] = []
  #running: Promise<void>[] = []
  #asking = 0
  #stopping = false
  #wakes = 0
  #wake = Promise.withResolvers<void>()
  #poll: NodeJS.Timeout | undefined
  #databaseAway = false

  constructor(deps: MatcherDeps) {
    this.#deps = deps
    this.#lookup = new CallLookup(deps.settings)
  }

  start(): void {
    this.#poll = setInterval(() => this.wake(), pollMs)
    this.#running = Array.from({ length: lanes }, () => this.#lane())
  }

  /** Resolves when nothing is being matched any more. What waits for Twilio is left for the next start. */
  async stop(): Promise<void> {
    this.#stopping = true
    clearInterval(this.#poll)
    this.#lookup.stop()
    this.wake()
    await Promise.all(this.#running)
  }

  wake(): void {
    this.#wakes++
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  async #lane(): Promise<void> {
    while (!this.#done) {
      const seen = this.#wakes
      const found = await this.#matchNext().catch((error: unknown) => this.#noDatabase(error))
      if (!found && seen === this.#wakes && !this.#done) await this.#wake.promise
    }
    this.wake()
  }

  get #done(): boolean {
    return this.#stopping && this.#asking === 0 && this.#answered.length === 0
  }

  /** @returns whether there was a callback to match. */
  async #matchNext(): Promise<boolean> {
    const answered = this.#answered.shift()
    if (answered) {
      await this.#matchAnswered(answered).catch((error: unknown) => this.#putOff(answered.stored, error))
      return true
    }
    if (this.#stopping) return false
    let claimed: CallbackKey | undefined
    let taken: StoredCallback | undefined
    try {
      const result = await this.#deps.knex.transaction(async (trx) => {
        claimed = await claimDueCallback(trx)
        if (claimed === undefined) return null
        await lockCall(trx, claimed.call_sid)
        taken = await readNewCallback(trx, claimed.id, true)
        if (taken === undefined) return null
        const matched = await matchCallback(trx, taken, null, this.#deps)
        if (matched.outcome === 'ask') await postpone(trx, taken.id, askingSeconds, taken.tries + 1, 'Twilio is asked')
        return matched
      })
      this.#databaseBack()
      if (claimed === undefined) return false
      if (taken === undefined || result === null) return true
      if (result.outcome === 'ask') this.#ask(taken, result.question)
      else this.#report(taken, result)
    } catch (error) {
      if (taken === undefined || isDatabaseAway(error)) throw error
      await this.#putOff(taken, error)
    }
    return true
  }

  #ask(stored: StoredCallback, question: Question): void {
    this.#asking++
    void Promise.resolve(this.#lookup.ask(question)).then((answer) => {
      this.#asking--
      this.#answered.push({ stored, answer })
      this.wake()
    })
  }

  async #matchAnswered({ stored, answer }: Answered): Promise<void> {
    const { knex } = this.#deps
    if (answer === null) return await postpone(knex, stored.id, 1, stored.tries, 'waits for its turn to ask Twilio')
    const result = await knex.transaction(async (trx) => {
      await lockCall(trx, stored.call_sid)
      const still = await readNewCallback(trx, stored.id, false)
      if (still === undefined) return null
      const matched = await matchCallback(trx, still, answer, this.#deps)
      if (matched.outcome === 'not now') await postpone(trx, still.id, waitAfter(still.tries), still.tries, matched.why)
      return matched
    })
    if (result) this.#report(stored, result)
  }

  /** An error that is not the database's absence must not make one callback the end of all matching. */
  async #putOff(stored: StoredCallback, error: unknown): Promise<void> {
    const tries = stored.tries + 1
    await postpone(this.#deps.knex, stored.id, waitAfter(tries), tries, 'its matching failed; see the log')
    const fields = { event: 'callback.match_failed', kind: stored.kind, call_sid: stored.call_sid, err: error }
    this.#deps.log.error(fields, 'a callback could not be matched; it is tried again')
  }

  #noDatabase(error: unknown): boolean {
    if (!this.#databaseAway) this.#deps.log.warn({ event: 'matching.interrupted', err: error }, 'matching waits')
    this.#databaseAway = true
    return false
  }

  #databaseBack(): void {
    if (this.#databaseAway) this.#deps.log.info({ event: 'matching.resumed' }, 'matching goes on')
    this.#databaseAway = false
  }

  #report(stored: StoredCallback, result: MatchResult): void {
    const { log } = this.#deps
    const fields = { kind: stored.kind, call_sid: stored.call_sid }
    if (result.outcome === 'unmatched') {
      log.warn({ event: 'callback.unmatched', ...fields, reason: result.reason }, `unmatched: ${result.reason}`)
    } else if (result.outcome === 'not now') {
      log.warn({ event: 'callback.waiting', ...fields, reason: result.why }, `matching waits: ${result.why}`)
    } else if (result.outcome === 'matched') {
      const call = { call_sid: result.callSid, business_id: result.businessId }
      log.debug({ event: 'callback.matched', ...fields, ...call }, 'a callback found its call')
      if (result.recording === 'queued') log.info({ event: 'call.queued', ...call }, 'recorded; the pipeline takes it')
      if (result.recording === 'failed') log.warn({ event: 'call.failed', ...call }, 'Twilio has no recording of it')
    }
  }
}
