import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Knex } from 'knex'
import type { Config } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'

/** While the service's state is unknown, other requests wait this long for the first answer, in milliseconds. */
const pioneerMs = 2_000
/** After an answer, requests are sent freely for this long, in milliseconds. */
export const welcomeMs = 2_000
/** The longest wait after rate limits without `Retry-After`, in milliseconds. */
const maxOwnWaitMs = 60_000

const readHold = `
  select extract(epoch from held_until - clock_timestamp()) * 1000 as "leftMs"
  from callbox.model_service_holds where service = ? and held_until > clock_timestamp()`

/**
 * A later hold is not shortened: of ten concurrent requests the first to be refused may name the longest wait. One that
 * follows within a minute is the same hold to an operator.
 */
const storeHold = `
  insert into callbox.model_service_holds as h (service, held_until) values (?, clock_timestamp() + ? * interval '1 ms')
  on conflict (service) do update set
    held_until = greatest(h.held_until, excluded.held_until),
    held_since = case
      when h.held_until > clock_timestamp() - interval '1 minute' then h.held_since else excluded.held_since end`

/**
 * Pauses requests to the model service for as long as it asked: in all steps and, through the database, in all worker
 * processes. A burst after a quiet period sends one request ahead.
 *
 * - `#heldUntil`, `#limits`: written by `limited` and `answered`, read by `remainingMs`
 * - `#welcomeUntil`: written by `limited` and `answered`, read by `enter`
 * - `#pioneer`: written by `#becomePioneer`, read by `enter`
 */
export class ServiceHold {
  readonly #service: string
  readonly #knex: Knex
  readonly #log: Logger
  readonly #firstWaitMs: number
  #heldUntil = 0
  /** Rate limits since the last answer; those of concurrent requests count as one. */
  #limits = 0
  #welcomeUntil = 0
  #pioneer: Promise<void> | null = null

  /** @param firstWaitMs after a rate limit that names no time; it doubles. */
  constructor({ baseUrl, apiKey }: Config['openai'], knex: Knex, log: Logger, firstWaitMs: number) {
    // Neither the address nor the key may be stored in the database.
    this.#service = createHash('sha256').update(`${baseUrl} ${apiKey}`).digest('hex').slice(0, 32)
    this.#knex = knex
    this.#log = log
    this.#firstWaitMs = firstWaitMs
  }

  /**
   * Waits for the turn of one request.
   *
   * @returns how long to wait before another try, in milliseconds; for 0, `leave` is called when the request is over.
   */
  async enter(signal: AbortSignal): Promise<{ heldMs: number; leave: () => void }> {
    let leave = (): void => undefined
    if (performance.now() >= this.#welcomeUntil) {
      if (this.#pioneer === null) leave = this.#becomePioneer()
      else await Promise.race([this.#pioneer, delay(pioneerMs, undefined, { signal }).catch(() => undefined)])
    }
    const heldMs = await this.#remainingMs()
    if (heldMs > 0) leave()
    return { heldMs, leave }
  }

  #becomePioneer(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#pioneer = promise
    return () => {
      this.#pioneer = null
      resolve()
    }
  }

  answered(): void {
    this.#limits = 0
    this.#welcomeUntil = performance.now() + welcomeMs
  }

  /** @returns how long to wait, in milliseconds. @param askedMs the service's `Retry-After`, if it sent one. */
  async limited(askedMs: number | undefined): Promise<number> {
    const now = performance.now()
    const isNew = this.#heldUntil <= now
    if (isNew) this.#limits++
    const ownMs = Math.min(this.#firstWaitMs * 2 ** (this.#limits - 1), maxOwnWaitMs)
    const waitMs = Math.max(askedMs ?? 0, ownMs)
    this.#heldUntil = Math.max(this.#heldUntil, now + waitMs)
    this.#welcomeUntil = 0
    await this.#quietly(() => this.#knex.raw(storeHold, [this.#service, waitMs]))
    if (isNew) {
      this.#log.warn(
        { event: 'pipeline.held', wait_ms: Math.round(waitMs) },
        `the model service limits its rate: no request is sent to it for ${Math.ceil(waitMs / 1000)} s, and calls wait`,
      )
    }
    return waitMs
  }

  async #remainingMs(): Promise<number> {
    const ownMs = this.#heldUntil - performance.now()
    if (ownMs > 0) return ownMs
    const answer = await this.#quietly(() => this.#knex.raw<{ rows: { leftMs: string }[] }>(readHold, [this.#service]))
    return Number(answer?.rows[0]?.leftMs ?? 0)
  }

  /** Without the database this process still keeps its own hold. */
  async #quietly<T>(query: () => Promise<T>): Promise<T | null> {
    try {
      return await query()
    } catch (err) {
      this.#log.warn(
        { event: 'pipeline.hold_unshared', err },
        'the pause of the model service could not be shared with other workers',
      )
      return null
    }
  }
}
