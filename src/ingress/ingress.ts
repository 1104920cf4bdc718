import type express from 'express'
import type { Knex } from 'knex'
import type { RecordingSender } from '../calls/recording-queue.ts'
import type { Config } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { CallbackIntake } from './callback-intake.ts'
import { callbackRouter, strayCallbacks } from './callback-router.ts'
import { Matcher } from './matcher.ts'

interface IngressDeps {
  config: Config
  knex: Knex
  queue: RecordingSender
  log: Logger
  metrics: Metrics
  intake: CallbackIntake
}

/** Twilio to calls: `router` takes and stores callbacks; between `start` and `stop` stored ones are matched. */
export interface Ingress {
  router: express.Router
  /** Mount it after all routes that Twilio calls. */
  strays: express.RequestHandler
  start(): void
  stop(): Promise<void>
}

export function createIngress(deps: IngressDeps): Ingress {
  const { config, knex, queue, log, metrics, intake } = deps
  const matcher = new Matcher({ settings: config.twilio, queue, knex, log })
  intake.onStored(() => matcher.wake())
  return {
    router: callbackRouter({ config, intake, log, metrics }),
    strays: strayCallbacks({ log, metrics }),
    start: () => matcher.start(),
    stop: () => matcher.stop(),
  }
}
