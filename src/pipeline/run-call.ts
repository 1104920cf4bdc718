import type { Knex } from 'knex'
import { z } from 'zod'
import type { Direction } from '../calls/call-facts.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import type { Config } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type FetchedAudio, fetchAudio, fetchedAudio } from './audio.ts'
import type { AudioFiles } from './audio-files.ts'
import { beginStep, type CallInWork, finishStep, takeCall } from './call-steps.ts'
import { type CallResults, completeCall } from './completion.ts'
import { extractedFacts, extractFacts } from './extraction.ts'
import { awaitFinalStatus } from './final-status.ts'
import type { OpenAiService } from './openai-service.ts'
import { done, errorCode, type Outcome, type Setback, type StepName, setBack } from './outcome.ts'
import { retryQuickly } from './quick-retry.ts'
import { noteRejectedLanguage } from './rejected-language.ts'
import { summarise } from './summary.ts'
import type { PipelineTimings } from './timings.ts'
import { transcribe } from './transcript.ts'

export interface RunParts {
  knex: Knex
  config: Config
  openai: OpenAiService
  audioFiles: AudioFiles
  log: Logger
  metrics: Metrics
  timings: PipelineTimings
}

/** How a run of a call ended: completed by it, nothing to do, or set back in a step. */
export type RunEnd =
  | { kind: 'completed'; direction: Direction }
  | { kind: 'over' }
  /** `cause`: what was thrown, if it was not foreseen. */
  | { kind: 'setback'; step: StepName; setback: Exclude<Setback, { kind: 'over' }>; cause?: unknown }

/** Why a run should end: `stopping` at the next step, `aborted` at once. */
export interface RunSignals {
  stopping: AbortSignal
  aborted: AbortSignal
}

/**
 * Takes a call through the steps that it has not finished. Each result is committed before the next step begins, so a
 * later run, after whatever ended this one, goes on from there.
 */
export async function runCall(parts: RunParts, job: RecordingJob, signals: RunSignals): Promise<RunEnd> {
  const call = await takeCall(parts.knex, job)
  if (call === null) return { kind: 'over' }
  return new CallRun(parts, job, call, signals).run()
}

class CallRun {
  readonly #parts: RunParts
  readonly #job: RecordingJob
  readonly #call: CallInWork
  readonly #signals: RunSignals
  #step: StepName = 'audio'

  constructor(parts: RunParts, job: RecordingJob, call: CallInWork, signals: RunSignals) {
    this.#parts = parts
    this.#job = job
    this.#call = call
    this.#signals = signals
  }

  async run(): Promise<RunEnd> {
    try {
      return await this.#run()
    } catch (cause) {
      const setback = { kind: 'outage' as const, error: `unforeseen: ${errorCode(cause)}` }
      return { kind: 'setback', step: this.#step, setback, cause }
    }
  }

  async #run(): Promise<RunEnd> {
    const results = await this.#results()
    const outcome = results.ok ? await this.#complete(results.value) : results
    if (outcome.ok) return { kind: 'completed', direction: outcome.value.direction }
    if (outcome.setback.kind === 'over') return { kind: 'over' }
    return { kind: 'setback', step: this.#step, setback: outcome.setback }
  }

  async #results(): Promise<Outcome<CallResults>> {
    const { openai } = this.#parts
    const { aborted } = this.#signals
    const transcript = await this.#transcript()
    if (!transcript.ok) return transcript
    const summary = await this.#take('summary', z.string(), () => summarise(openai, transcript.value, aborted))
    if (!summary.ok) return summary
    const facts = await this.#take('extraction', extractedFacts, () =>
      extractFacts(openai, summary.value, this.#call.serviceCategories, aborted),
    )
    if (!facts.ok) return facts
    return done({ transcript: transcript.value, summary: summary.value, ...facts.value })
  }

  async #transcript(): Promise<Outcome<string>> {
    const { openai, audioFiles, knex, log } = this.#parts
    const { language, rejectedLanguage } = this.#call
    const noteHint = async (isTaken: boolean): Promise<void> => {
      if (isTaken === (rejectedLanguage !== language)) return
      await noteRejectedLanguage(knex, log, this.#job.businessId, isTaken ? '' : language)
    }
    const path = audioFiles.path(this.#job)
    if (!this.#call.finishedSteps.has('transcript')) {
      const audio = await this.#take('audio', fetchedAudio, () => this.#fetchAudio(path))
      if (!audio.ok) return audio
      // Fetched on another machine, or lost in a crash of this one.
      if (!(await audioFiles.has(this.#job, audio.value.bytes))) {
        const again = await this.#fetchAudio(path)
        if (!again.ok) return again
      }
    }
    const transcript = await this.#take('transcript', z.string(), () =>
      transcribe(openai, path, language, noteHint, this.#signals.aborted),
    )
    // The next run downloads it again.
    if (!transcript.ok && transcript.setback.kind === 'unreadable') await audioFiles.remove(this.#job)
    return transcript
  }

  #fetchAudio(path: string): Promise<Outcome<FetchedAudio>> {
    const { config, timings } = this.#parts
    const { aborted } = this.#signals
    const fetchOnce = () => fetchAudio(config.twilio, this.#call.recordingUrl, path, aborted)
    return retryQuickly(fetchOnce, timings.quickRetryMs, aborted)
  }

  /** A step's committed result, or else what `perform` finds, committed. */
  async #take<T>(step: StepName, schema: z.ZodType<T>, perform: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const { knex } = this.#parts
    this.#step = step
    if (this.#call.finishedSteps.has(step)) return committed(schema, this.#call.finishedSteps.get(step))
    if (this.#signals.stopping.aborted) return setBack({ kind: 'interrupted' })
    const begun = await beginStep(knex, this.#job, step)
    if (begun.finished) return committed(schema, begun.result)
    const outcome = await this.#measured(step, perform)
    return outcome.ok ? committed(schema, await finishStep(knex, this.#job, step, outcome.value)) : outcome
  }

  async #complete(results: CallResults): Promise<Outcome<{ direction: Direction }>> {
    const { knex, config, timings } = this.#parts
    const { stopping, aborted } = this.#signals
    this.#step = 'completion'
    if (stopping.aborted) return setBack({ kind: 'interrupted' })
    const ready = await awaitFinalStatus(knex, config.twilio, this.#job, timings.statusPollMs, aborted)
    if (!ready.ok) return ready
    const begun = await beginStep(knex, this.#job, 'completion')
    if (begun.finished) return setBack({ kind: 'over' })
    return this.#measured('completion', () => completeCall(knex, this.#job, results))
  }

  async #measured<T>(step: StepName, perform: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const end = this.#parts.metrics.pipelineStepDuration.startTimer({ step })
    const outcome = await perform()
    end()
    if (outcome.ok) this.#parts.metrics.pipelineJobs.inc({ step, result: 'ok' })
    return outcome
  }
}

/** A finished step without a result is one of a call that another run has completed. */
const committed = <T>(schema: z.ZodType<T>, result: unknown): Outcome<T> =>
  result === null ? setBack({ kind: 'over' }) : done(schema.parse(result))
