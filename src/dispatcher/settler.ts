import type pg from 'pg'
import { PlannedStatement } from '../database/planned-statement.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Delivery } from './delivery.ts'
import type { PostResult } from './post.ts'
import type { Outcome } from './retry-policy.ts'
import { settleParameter } from './settle-parameter.ts'
import { settleAgain, settleDeliveries } from './sql/settle.ts'

export interface Attempt {
  id: string
  /** Milliseconds since the epoch, by the database's clock. */
  startedMs: number
  url: string
  result: PostResult
}

export interface Settlement {
  delivery: Delivery
  /** `null`: nothing was sent. */
  attempt: Attempt | null
  outcome: Outcome | { status: 'skipped'; reason: string }
}

/** Called when a settle was acknowledged; `changed` tells whether the delivery was still at the version expected. */
export type Acknowledged = (settlements: readonly Settlement[], changed: (settlement: Settlement) => boolean) => void

const largestBatch = 500
/**
 * How long results gather after a settle, when they do not already come in numbers: planning, commit and round trip are the
 * same for one result as for many.
 */
const gatherMs = 5
/**
 * So many do not wait for one another, nor for the settle before them, whose commit may take long where the disk or the
 * network is slow: what is answered and not settled takes places of the window. Small settles cost the database more for
 * each delivery, large ones keep places waiting. On 2 cores with the database beside, three runs in turns on a machine whose
 * processors were the limit: three at a time from 64 on 6,400/s at 105 µs of PostgreSQL each, two from 128 on 7,300/s at
 * 84 µs, one from 128 on 6,800/s at 85 µs, two from 192 on 6,300/s at 90 µs. Where 24 % of the processors were idle, three
 * from 64 on had made 14,970/s and two from 128 on 14,435/s.
 */
const enoughToGo = 128
const mostUnderWay = 2
/**
 * Planned anew each time until so many were settled, which takes 0.4 ms: a plan made while the outbox is small reads all
 * of it, and goes on to when it has grown. Of a table that has so many rows only the key is worth reading.
 */
const plannedFrom = 10_000
const firstRetryMs = 50
const longestRetryMs = 1_000

/**
 * Writes results back in batches: the first of a quiet moment at once, those that come while it is under way together.
 * A batch whose answer was not heard is repeated until it is; one that the database rejects for its data is halved until
 * the culprit is alone, and that one is recorded without the receiver's words.
 */
export class Settler {
  readonly #pool: pg.Pool
  readonly #first = new PlannedStatement(settleDeliveries)
  readonly #again = new PlannedStatement(settleAgain)
  readonly #acknowledged: Acknowledged
  readonly #log: Logger
  #queue: Settlement[] = []
  #underWay = 0
  #timer: NodeJS.Immediate | NodeJS.Timeout | null = null
  #gaveUp = false
  #settledSoFar = 0

  constructor(pool: pg.Pool, acknowledged: Acknowledged, log: Logger) {
    this.#pool = pool
    this.#acknowledged = acknowledged
    this.#log = log
  }

  add(settlement: Settlement): void {
    this.#queue.push(settlement)
    if (this.#queue.length >= enoughToGo) this.#flush()
    else if (this.#underWay === 0) this.#flushIn(0)
  }

  /** Stops repeating what the database does not take. */
  giveUp(): void {
    this.#gaveUp = true
  }

  /** @param ms 0: after a turn of the event loop, so that results that have already arrived go along. */
  #flushIn(ms: number): void {
    if (this.#timer) return
    const flush = (): void => {
      this.#timer = null
      this.#flush()
    }
    this.#timer = ms === 0 ? setImmediate(flush) : setTimeout(flush, ms)
  }

  #flush(): void {
    if (this.#queue.length === 0 || this.#underWay >= mostUnderWay) return
    this.#underWay += 1
    void this.#settle(this.#queue.splice(0, largestBatch)).then(() => {
      this.#underWay -= 1
      if (this.#queue.length >= enoughToGo) this.#flush()
      else this.#flushIn(gatherMs)
    })
  }

  /** @param repeated it may have been committed already, unheard. */
  async #settle(batch: Settlement[], repeated = false): Promise<void> {
    let waitMs = firstRetryMs
    while (!this.#gaveUp) {
      let superseded: Set<string>
      try {
        superseded = await this.#write([settleParameter(batch)], repeated)
        this.#settledSoFar += batch.length - superseded.size
      } catch (error) {
        if (isRejectedData(error)) return this.#isolate(batch, error, repeated)
        repeated = true
        this.#log.warn({ event: 'settle.repeated', err: error, results: batch.length }, 'results wait for the database')
        await new Promise((resolve) => setTimeout(resolve, waitMs))
        waitMs = Math.min(waitMs * 2, longestRetryMs)
        continue
      }
      return this.#acknowledged(batch, ({ delivery }) => !superseded.has(delivery.id))
    }
    this.#log.error({ event: 'settle.gave_up', results: batch.length }, 'results could not be recorded before the end')
  }

  /** @returns the ids of the deliveries that had moved on. */
  async #write(parameters: unknown[], repeated: boolean): Promise<Set<string>> {
    const statement = repeated ? this.#again : this.#first
    const rows = await statement.run<{ id: string }>(this.#pool, parameters, this.#settledSoFar >= plannedFrom)
    return new Set(rows.map(({ id }) => id))
  }

  async #isolate(batch: Settlement[], error: unknown, repeated: boolean): Promise<void> {
    const [only] = batch
    if (only === undefined) return
    if (batch.length > 1) {
      const half = Math.ceil(batch.length / 2)
      await this.#settle(batch.slice(0, half), repeated)
      return this.#settle(batch.slice(half), repeated)
    }
    if (only.attempt === null || only.attempt.result.error === unrecordable) throw error
    this.#log.error(
      { event: 'settle.rejected', err: error, delivery_id: only.delivery.id },
      'an answer cannot be stored',
    )
    const result = { ...only.attempt.result, error: unrecordable, excerpt: null }
    await this.#settle([{ ...only, attempt: { ...only.attempt, result } }], repeated)
  }
}

const unrecordable = 'what the receiver answered could not be stored'

/** SQLSTATE classes 22 (data exception) and 23 (integrity constraint violation): repeating it cannot help. */
function isRejectedData(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^2[23]/.test(String(error.code))
}
