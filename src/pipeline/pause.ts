import { Gauge } from 'prom-client'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Service } from './outcome.ts'

/** The same refusal is logged at most this often, in milliseconds. */
const logIntervalMs = 60_000

/**
 * Whether a service refuses us (a bad key, an exhausted quota, a model that is not ours). Then no call is at fault and
 * none is failed: the worker takes one job now and then as a probe, until that service answers one.
 */
export class Pause {
  readonly #log: Logger
  readonly #gauge: Gauge
  readonly #changed: () => void
  #refused: { service: Service; since: number } | null = null
  #loggedAt = Number.NEGATIVE_INFINITY

  /** @param changed called when the pause begins and when it ends. */
  constructor(log: Logger, metrics: Metrics, changed: () => void) {
    this.#log = log
    this.#changed = changed
    this.#gauge = new Gauge({
      name: 'callbox_pipeline_paused',
      help: '1 while a service refuses us and calls wait for that.',
      registers: [metrics.registry],
    })
  }

  get on(): boolean {
    return this.#refused !== null
  }

  refused(service: Service, error: string): void {
    if (performance.now() - this.#loggedAt >= logIntervalMs) {
      this.#loggedAt = performance.now()
      this.#log.error(
        { event: 'pipeline.paused', service, error },
        `calls wait, none is lost: ${error}; set it right, and the pipeline goes on by itself`,
      )
    }
    if (this.#refused) return
    this.#refused = { service, since: performance.now() }
    this.#gauge.set(1)
    this.#changed()
  }

  /** @param startedAt when the request began (`performance.now()`): an answer to an older one proves nothing. */
  answered(service: Service, startedAt: number): void {
    if (this.#refused?.service !== service || startedAt < this.#refused.since) return
    this.#refused = null
    this.#loggedAt = Number.NEGATIVE_INFINITY
    this.#gauge.set(0)
    this.#log.info({ event: 'pipeline.resumed', service }, `the ${service} answers again: calls go on`)
    this.#changed()
  }
}
