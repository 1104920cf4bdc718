import { setTimeout as pause } from 'node:timers/promises'
import type { Knex } from 'knex'
import { isDatabaseAway } from '../database/away.ts'
import type { HintSender } from '../database/hints.ts'
import { type RequeuedBatch, requeueBatch } from '../outbox/requeue-batch.ts'
import type { Logger } from '../telemetry/logger.ts'
import { takeRunning } from './requeue-records.ts'

interface RunnerParts {
  knex: Knex
  hints: HintSender
  log: Logger
}

/** How often requeues are looked for when there was none, and how soon after an error, in milliseconds. */
const idleMs = 250
const troubleMs = 1_000
/** After a batch it rests as long as that took, so a requeue takes half of what one connection can do; at most this. */
const longestRestMs = 1_000

/**
 * Runs bulk requeues, batch by batch. A batch is one transaction that holds the requeue's row, makes its deliveries due
 * and moves the cursor and the counters: so a `kill -9` loses and repeats nothing, a stop takes effect with the next
 * batch, and every API process may run them. Several take turns.
 */
export class RequeueRunner {
  readonly #parts: RunnerParts
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(parts: RunnerParts) {
    this.#parts = parts
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Resolves when the batch under way has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      const restMs = await this.#step()
      await pause(restMs, undefined, { signal }).catch(() => undefined)
    }
  }

  /** @returns how long to rest, in milliseconds. */
  async #step(): Promise<number> {
    const { knex, hints, log } = this.#parts
    const begun = performance.now()
    let id: string | null = null
    try {
      const batch = await knex.transaction(async (trx) => {
        const taken = await takeRunning(trx)
        if (taken === null) return null
        id = taken.id
        const batch = await requeueBatch(trx, taken.walk, taken.from)
        await keep(trx, taken.id, batch)
        return batch
      })
      if (batch === null) return idleMs
      for (const { businessId, direction } of batch.routes) hints.hint(businessId, direction)
      log.debug({ event: 'requeue.batch', requeue_id: id, requeued: batch.requeued }, 'deliveries were requeued')
      if (batch.isLast) log.info({ event: 'requeue.done', requeue_id: id }, 'a bulk requeue is done')
      return Math.min(performance.now() - begun, longestRestMs)
    } catch (err) {
      if (id !== null && !isDatabaseAway(err)) await this.#fail(id, err)
      else log.warn({ event: 'requeue.waits', requeue_id: id, err }, 'bulk requeues wait for the database')
      return troubleMs
    }
  }

  /** It cannot go on, and must not keep others from theirs; whoever mends the cause resumes it. */
  async #fail(id: string, err: unknown): Promise<void> {
    const { knex, log } = this.#parts
    const code = err instanceof Error && 'code' in err ? ` (${err.code})` : ''
    log.error({ event: 'requeue.failed', requeue_id: id, err }, 'a bulk requeue cannot go on')
    await knex('callbox.requeues')
      .where({ id, state: 'running' })
      .update({
        state: 'failed',
        finished_at: knex.raw('clock_timestamp()'),
        error: `an error that was not expected${code}; the log has it as requeue.failed`,
      })
      .catch((error: unknown) =>
        log.warn({ event: 'requeue.waits', err: error }, 'bulk requeues wait for the database'),
      )
  }
}

async function keep(trx: Knex.Transaction, id: string, batch: RequeuedBatch): Promise<void> {
  await trx('callbox.requeues')
    .where({ id })
    .update({
      examined: trx.raw('examined + ?', [batch.examined]),
      matched: trx.raw('matched + ?', [batch.matched]),
      requeued: trx.raw('requeued + ?', [batch.requeued]),
      already_due: trx.raw('already_due + ?', [batch.alreadyDue]),
      payload_gone: trx.raw('payload_gone + ?', [batch.payloadGone]),
      worked_at: trx.raw('clock_timestamp()'),
      ...(batch.reached && { cursor_at: batch.reached.createdAt, cursor_id: batch.reached.id }),
      ...(batch.isLast && { state: 'done', finished_at: trx.raw('clock_timestamp()') }),
    })
}
