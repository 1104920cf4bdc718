import type { Knex } from 'knex'
import type OpenAI from 'openai'
import { Gauge } from 'prom-client'
import type { Config } from '../config.ts'
import {
  daysLeft,
  forgetFormerModel,
  type ModelCheck,
  type ModelUse,
  modelSettings,
  saveModelCheck,
} from '../models/model-checks.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { askAboutModel } from './ask-about-model.ts'
import { createServiceClient } from './service-client.ts'
import type { PipelineTimings } from './timings.ts'

interface Dependencies {
  settings: Config['openai']
  knex: Knex
  log: Logger
  metrics: Metrics
  timings: Pick<PipelineTimings, 'modelCheckMs' | 'modelRecheckMs'>
}

/**
 * Asks the model service about the models that this worker uses, at start and once a day, and warns operators of
 * models that it does not have or will shut down. A service without that information is fine.
 */
export class ModelWatch {
  readonly #dependencies: Dependencies
  readonly #client: OpenAI | null
  readonly #gauge: Gauge<'use'>
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | null = null
  #checking: Promise<void> = Promise.resolve()

  constructor(dependencies: Dependencies) {
    this.#dependencies = dependencies
    this.#client = createServiceClient(dependencies.settings)
    this.#gauge = new Gauge({
      name: 'callbox_model_shutdown_timestamp_seconds',
      help: 'When the model that is used for this shuts down, in Unix time; 0: the service does not have it.',
      labelNames: ['use'],
      registers: [dependencies.metrics.registry],
    })
  }

  start(): void {
    if (this.#client === null) return
    this.#checking = this.#check(this.#client)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    if (this.#timer) clearTimeout(this.#timer)
    await this.#checking
  }

  async #check(client: OpenAI): Promise<void> {
    const { settings, log, timings } = this.#dependencies
    const models: [ModelUse, string][] = [
      ['transcribe', settings.transcribeModel],
      ['summary', settings.summaryModel],
    ]
    const checks = models.map(([use, model]) =>
      this.#checkOne(client, use, model).catch((err: unknown) => {
        log.warn({ event: 'model.check_failed', use, err }, 'the result of a model check could not be stored')
        return false
      }),
    )
    const isDone = (await Promise.all(checks)).every((done) => done)
    if (this.#stopping.signal.aborted) return
    const waitMs = isDone ? timings.modelCheckMs : timings.modelRecheckMs
    this.#timer = setTimeout(() => {
      this.#checking = this.#check(client)
    }, waitMs)
  }

  /** @returns whether the service could be asked. */
  async #checkOne(client: OpenAI, use: ModelUse, model: string): Promise<boolean> {
    const { knex, log } = this.#dependencies
    const word = await askAboutModel(client, model, this.#stopping.signal)
    if (this.#stopping.signal.aborted) return true
    if (word.kind === 'trouble') {
      log.info(
        { event: 'model.not_asked', use, model, status: word.status },
        `the service could not be asked about ${model}`,
      )
      await forgetFormerModel(knex, use, model)
      return false
    }
    const shutdownDate = word.kind === 'known' ? word.shutdownDate : null
    const known = word.kind === 'untold' ? null : word.kind === 'known'
    const check = { use, model, known, shutdownDate }
    this.#tell(check)
    await saveModelCheck(knex, check)
    return true
  }

  #tell(check: ModelCheck): void {
    const { log } = this.#dependencies
    const { use, model, known, shutdownDate } = check
    if (known === false) this.#gauge.set({ use }, 0)
    else if (shutdownDate === null) this.#gauge.remove({ use })
    else this.#gauge.set({ use }, Date.parse(shutdownDate) / 1_000)

    const setting = modelSettings[use]
    if (known === false) {
      const advice = `set ${setting} to one that it has`
      log.error({ event: 'model.unknown', use, model }, `the service does not have the model ${model}: ${advice}`)
    }
    const days = daysLeft(check, new Date())
    if (days === null) return
    const when = days > 0 ? `shuts down on ${shutdownDate}, in ${days} days` : `was to shut down on ${shutdownDate}`
    log.warn(
      { event: 'model.shuts_down', use, model, shutdown_date: shutdownDate, days },
      `the model ${model} ${when}: set ${setting} to another`,
    )
  }
}
