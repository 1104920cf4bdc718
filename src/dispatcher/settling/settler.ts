import type pg from 'pg'
import type { Logger } from '../../telemetry/logger.ts'
import type { Delivery } from '../delivery.ts'
import type { PostResult } from '../sending/post.ts'
import type { Outcome } from '../sending/retry-policy.ts'
import { settleParameter } from './settle-parameter.ts'

export interface Attempt {
  id: string
  /** Milliseconds of the epoch, by the database's clock. */
  startedMs: number
  url: string
  result: PostResult
}

export interface Settlement {
  delivery: Delivery
  /** `null`: nothing was sent. */
  attempt: Attempt | null
  outcome: Outcome
}

/** What an acknowledged settle says about its batch. */
export interface Acknowledgement {
  settlements: readonly Settlement[]
  /** Ids of the deliveries that had a newer version, and so were not changed. */
  superseded: ReadonlySet<string>
  /** Names of routes on which a delivery waited for one of these. */
  freed: readonly string[]
}

const maxBatch = 500
/** How long single results are collected after a settle: a commit costs the same for one as for many. */
const gatherMs = 5
/** A batch of this size does not wait for more results; at most `maxUnderWay` settles run at a time (bench/NOTES.md, "settles"). */
const fullBatch = 128
const maxUnderWay = 2
const firstRetryMs = 50
const maxRetryMs = 1_000
/** How long a delivery is postponed when its result cannot be stored in any form. */
const unstorableWaitMs = 60_000

/** What it does is described in `migrations/007_callbox_settle.ts`. */
const settle = 'select what, name from callbox.callbox_settle($1::callbox.webhook_settlement[], $2)'

const unrecordable = "the receiver's answer could not be stored"

/**
 * Writes results back in batches: the first one immediately, those that arrive during a settle together.
 * A batch whose acknowledgement is lost is repeated until one arrives. A batch that the database rejects for its data is bisected
 * until the culprit is alone; the culprit is recorded without the receiver's answer, or as a last resort postponed.
 */
export class Settler {
  readonly #pool: pg.Pool
  readonly #onSettled: (acknowledgement: Acknowledgement) => void
  readonly #log: Logger
  #queue: Settlement[] = []
  #underWay = 0
  #timer: NodeJS.Immediate | NodeJS.Timeout | null = null
  #gaveUp = false

  constructor(pool: pg.Pool, onSettled: (acknowledgement: Acknowledgement) => void, log: Logger) {
    this.#pool = pool
    this.#onSettled = onSettled
    this.#log = log
  }

  add(settlement: Settlement): void {
    this.#queue.push(settlement)
    if (this.#queue.length >= fullBatch) this.#flush()
    else if (this.#underWay === 0) this.#flushIn(0)
  }

  /** Stops repeating settles that fail. */
  giveUp(): void {
    this.#gaveUp = true
  }

  /** @param ms 0: after a turn of the event loop, so that results that have already arrived are included. */
  #flushIn(ms: number): void {
    if (this.#timer) return
    const flush = (): void => {
      this.#timer = null
      this.#flush()
    }
    this.#timer = ms === 0 ? setImmediate(flush) : setTimeout(flush, ms)
  }

  #flush(): void {
    if (this.#queue.length === 0 || this.#underWay >= maxUnderWay) return
    this.#underWay += 1
    const batch = this.#queue.splice(0, maxBatch)
    void this.#settle(batch, false).then(() => {
      this.#underWay -= 1
      if (this.#queue.length >= fullBatch) this.#flush()
      else this.#flushIn(gatherMs)
    })
  }

  /** Never rejects. @param isRepeated it may have been committed already, without an acknowledgement. */
  async #settle(batch: readonly Settlement[], isRepeated: boolean): Promise<void> {
    let waitMs = firstRetryMs
    let repeated = isRepeated
    while (!this.#gaveUp) {
      let changes: { superseded: Set<string>; freed: string[] }
      try {
        changes = await this.#write(batch, repeated)
      } catch (err) {
        if (isRejectedData(err)) return this.#isolate(batch, err, repeated)
        repeated = true
        this.#log.warn({ event: 'settle.repeated', err, results: batch.length }, 'results wait for the database')
        await new Promise((resolve) => setTimeout(resolve, waitMs))
        waitMs = Math.min(waitMs * 2, maxRetryMs)
        continue
      }
      this.#onSettled({ settlements: batch, ...changes })
      return
    }
    this.#log.error({ event: 'settle.gave_up', results: batch.length }, 'results were not recorded before the stop')
  }

  async #write(batch: readonly Settlement[], repeated: boolean): Promise<{ superseded: Set<string>; freed: string[] }> {
    const { rows } = await this.#pool.query<SettleRow>(settle, [settleParameter(batch), repeated])
    const superseded = new Set<string>()
    const freed: string[] = []
    for (const { what, name } of rows) {
      if (what === 'freed') freed.push(name)
      else superseded.add(name)
    }
    return { superseded, freed }
  }

  async #isolate(batch: readonly Settlement[], err: unknown, repeated: boolean): Promise<void> {
    const [only] = batch
    if (only === undefined) return
    if (batch.length > 1) {
      const half = Math.ceil(batch.length / 2)
      await this.#settle(batch.slice(0, half), repeated)
      await this.#settle(batch.slice(half), repeated)
      return
    }
    const { delivery, attempt } = only
    this.#log.error({ event: 'settle.rejected', err, delivery_id: delivery.id }, 'a result cannot be stored')
    if (attempt !== null && attempt.result.error !== unrecordable) {
      const result = { ...attempt.result, error: unrecordable, excerpt: null }
      await this.#settle([{ ...only, attempt: { ...attempt, result } }], repeated)
    } else if (attempt !== null || only.outcome.status !== 'pending') {
      const outcome = { status: 'pending', reason: null, waitMs: unstorableWaitMs, step: delivery.step } as const
      await this.#settle([{ delivery, attempt: null, outcome }], repeated)
    } else {
      this.#onSettled({ settlements: batch, superseded: new Set([delivery.id]), freed: [] })
    }
  }
}

interface SettleRow {
  what: 'superseded' | 'freed'
  name: string
}

/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation): repeating the statement cannot help. */
function isRejectedData(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^2[23]/.test(String(error.code))
}
