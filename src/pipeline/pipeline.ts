import type { Knex } from 'knex'
import type { Config } from '../config.ts'
import type { HintSender } from '../database/hints.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { AudioFiles } from './audio-files.ts'
import { ModelRequests } from './model-requests.ts'
import { ModelWatch } from './model-watch.ts'
import { OpenAiService } from './openai-service.ts'
import { stepNames } from './outcome.ts'
import { Pause } from './pause.ts'
import { ServiceHold } from './service-hold.ts'
import { type PipelineTimings, pipelineTimings } from './timings.ts'
import { RecordingWorker } from './worker.ts'

export interface PipelineParts {
  config: Config
  databaseUrl: string
  knex: Knex
  hints: HintSender
  log: Logger
  metrics: Metrics
  /** What differs from {@link pipelineTimings}. */
  timings?: Partial<PipelineTimings>
}

export interface Pipeline {
  /** Resolves when no call is worked on any more, within about 25 s. */
  stop(): Promise<void>
  ready(): Promise<string | null>
}

const sweepIntervalMs = 3_600_000

/** So that the first call to end, well or badly, is seen as a rise. */
function tellFromTheStart({ callsCompleted, pipelineJobs }: Metrics): void {
  for (const direction of ['inbound', 'outbound']) callsCompleted.inc({ direction }, 0)
  for (const step of stepNames) {
    for (const result of ['ok', 'retry', 'failed']) pipelineJobs.inc({ step, result }, 0)
  }
}

/**
 * The role `worker`: turns recordings into results, each call in steps, and completes the call in one transaction.
 *
 * @throws Error when the database is away or lacks its schema, or when `CALLBOX_HOME` cannot be written.
 */
export async function startPipeline(parts: PipelineParts): Promise<Pipeline> {
  tellFromTheStart(parts.metrics)
  const timings = { ...pipelineTimings, ...parts.timings }
  const audioFiles = new AudioFiles(parts.config.home)
  await audioFiles.prepare()
  const pause = new Pause(parts.knex, parts.log, parts.metrics, () => worker.pauseChanged())
  const { openai: settings } = parts.config
  const { quickRetryMs } = timings
  const hold = new ServiceHold(settings, parts.knex, parts.log, quickRetryMs)
  const requests = new ModelRequests({ settings, pause, hold, quickRetryMs })
  const openai = new OpenAiService(settings, requests, parts.metrics)
  const worker = new RecordingWorker({ ...parts, timings, openai, audioFiles, pause })
  const models = new ModelWatch({ ...parts, settings, timings })
  await worker.start()
  models.start()

  const sweep = (): void => {
    audioFiles
      .sweep(parts.knex)
      .catch((err) => parts.log.warn({ event: 'audio.sweep_failed', err }, 'left-over recordings were not removed'))
  }
  sweep()
  const sweeping = setInterval(sweep, sweepIntervalMs)
  return {
    ready: () => worker.ready(),
    async stop() {
      clearInterval(sweeping)
      await Promise.all([models.stop(), worker.stop()])
      await pause.stop()
    },
  }
}
