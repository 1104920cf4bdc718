import type { Knex } from 'knex'
import { Gauge } from 'prom-client'
import { endPipelinePause, type RefusableStep, savePipelinePause } from '../calls/pipeline-pauses.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { serviceName } from './fault-table.ts'

/** The refusal of a step is logged at most this often, in milliseconds. */
const logIntervalMs = 60_000

/** An answered step has its stored pause ended at most this often, in milliseconds: another process may have stored it. */
const endIntervalMs = 5_000

interface Refusal {
  since: number
  loggedAt: number
}

/**
 * Whether a service refuses a step whatever the call (a bad key, an exhausted quota, a setting). Then no call is
 * at fault and none fails: the worker takes one job now and then as a probe, until that step is answered. The API
 * reads the pause from the database, where all workers store it.
 */
export class Pause {
  readonly #knex: Knex
  readonly #log: Logger
  readonly #gauge: Gauge
  readonly #changed: () => void
  /** Written by `refused` and `answered`. */
  readonly #refusals = new Map<RefusableStep, Refusal>()
  /** When the last answered request began, in epoch ms; written by `answered`, read by `answeredSince`. */
  readonly #answeredAt = new Map<RefusableStep, number>()

  /** When the stored pause of a step was last ended (`performance.now()`); written and read by `#endStored`. */
  readonly #endedAt = new Map<RefusableStep, number>()
  /** The last change of what is stored: they are made in their order. Written by `#store`. */
  #storing: Promise<void> = Promise.resolve()

  /** @param changed called when the pause begins and when it ends. */
  constructor(knex: Knex, log: Logger, metrics: Metrics, changed: () => void) {
    this.#knex = knex
    this.#log = log
    this.#changed = changed
    this.#gauge = new Gauge({
      name: 'callbox_pipeline_paused',
      help: '1 while a service refuses us and calls wait for that.',
      registers: [metrics.registry],
    })
  }

  get on(): boolean {
    return this.#refusals.size > 0
  }

  /** Whether other calls were answered in this step after that time, and none is refused now. @param time epoch ms. */
  answeredSince(step: RefusableStep, time: number): boolean {
    const answeredAt = this.#answeredAt.get(step)
    if (answeredAt === undefined || this.#refusals.has(step)) return false
    return answeredAt > time
  }

  refused(step: RefusableStep, error: string): void {
    const now = performance.now()
    const wasOn = this.on
    const refusal = this.#refusals.get(step) ?? { since: now, loggedAt: Number.NEGATIVE_INFINITY }
    this.#refusals.set(step, refusal)
    this.#store(() => savePipelinePause(this.#knex, step, error))
    if (now - refusal.loggedAt >= logIntervalMs) {
      refusal.loggedAt = now
      this.#log.error(
        { event: 'pipeline.paused', service: serviceName(step), step, error },
        `calls wait and none is lost: ${error}. They continue once it is corrected`,
      )
    }
    if (wasOn) return
    this.#gauge.set(1)
    this.#changed()
  }

  /** @param startedAt when the request began (`performance.now()`): an answer to an older one proves nothing. */
  answered(step: RefusableStep, startedAt: number): void {
    this.#answeredAt.set(step, Date.now() - (performance.now() - startedAt))
    const refusal = this.#refusals.get(step)
    const isEnd = refusal !== undefined && startedAt >= refusal.since
    this.#endStored(step, startedAt, isEnd)
    if (!isEnd) return
    this.#refusals.delete(step)
    this.#log.info(
      { event: 'pipeline.resumed', service: serviceName(step), step },
      `the ${serviceName(step)} answers again: calls continue`,
    )
    if (this.on) return
    this.#gauge.set(0)
    this.#changed()
  }

  #endStored(step: RefusableStep, startedAt: number, isEnd: boolean): void {
    const now = performance.now()
    if (!isEnd && now - (this.#endedAt.get(step) ?? Number.NEGATIVE_INFINITY) < endIntervalMs) return
    this.#endedAt.set(step, now)
    this.#store(() => endPipelinePause(this.#knex, step, isEnd ? 0 : performance.now() - startedAt))
  }

  /** Resolves when all that happened is stored. */
  async stop(): Promise<void> {
    await this.#storing
  }

  #store(change: () => Promise<void>): void {
    this.#storing = this.#storing.then(change).catch((err) => {
      this.#log.warn({ event: 'pipeline.pause_unshared', err }, 'that the pipeline waits is not stored')
    })
  }
}
