import type { Knex } from 'knex'
import { z } from 'zod'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { lastRecordingError } from '../calls/recordings.ts'
import type { Config } from '../config.ts'
import { isDataException } from '../database/errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { extractedFacts } from './answers/facts-answer.ts'
import { fetchedAudio } from './audio.ts'
import type { AudioFiles } from './audio-files.ts'
import { beginStep, type CallInWork, finishStep, isCurrent, takeCall } from './call-steps.ts'
import { type CallResults, type Completion, completeCall } from './completion.ts'
import { extractFacts } from './extraction.ts'
import { awaitFinalStatus } from './final-status.ts'
import type { OpenAiService } from './openai-service.ts'
import { done, errorCode, type Outcome, type Setback, type StepName, setBack } from './outcome.ts'
import type { Pause } from './pause.ts'
import { RecordingWork } from './recording-work.ts'
import { summarise } from './summary.ts'
import type { PipelineTimings } from './timings.ts'

export interface RunParts {
  knex: Knex
  config: Config
  openai: OpenAiService
  audioFiles: AudioFiles
  log: Logger
  pause: Pause
  metrics: Metrics
  timings: PipelineTimings
}

/** How a run of a call ended: completed by it, nothing to do, or set back in a step. */
export type RunEnd = ({ kind: 'completed' } & Completion) | { kind: 'over' } | StepSetback

export interface StepSetback {
  kind: 'setback'
  step: StepName
  /** The call's revision that the run worked from. */
  revision: number
  /** The recording that the step handled; `null`: the call as a whole. */
  recordingSid: string | null
  setback: Exclude<Setback, { kind: 'over' }>
  /** What was thrown, if it was unexpected. */
  cause?: unknown
}

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
  readonly #recordings: RecordingWork

  constructor(parts: RunParts, job: RecordingJob, call: CallInWork, signals: RunSignals) {
    this.#parts = parts
    this.#job = job
    this.#call = call
    this.#signals = signals
    this.#recordings = new RecordingWork(parts, job, call, signals.aborted)
  }

  async run(): Promise<RunEnd> {
    try {
      return await this.#run()
    } catch (cause) {
      // The same result is refused every time, and each new one would be paid for.
      const setback: StepSetback['setback'] = isDataException(cause)
        ? { kind: 'hopeless', error: `the database cannot hold the result of this step (${errorCode(cause)})` }
        : { kind: 'outage', error: `unforeseen: ${errorCode(cause)}` }
      return { ...this.#setBack(setback), cause }
    }
  }

  async #run(): Promise<RunEnd> {
    const results = await this.#results()
    const outcome = results.ok ? await this.#complete(results.value) : results
    if (outcome.ok) return { kind: 'completed', ...outcome.value }
    if (outcome.setback.kind === 'over') return { kind: 'over' }
    return this.#setBack(outcome.setback)
  }

  #setBack(setback: StepSetback['setback']): StepSetback {
    const { revision } = this.#call
    return { kind: 'setback', step: this.#step, revision, recordingSid: this.#recordings.current, setback }
  }

  async #results(): Promise<Outcome<CallResults>> {
    const { openai } = this.#parts
    const { aborted } = this.#signals
    const transcript = await this.#transcript()
    if (!transcript.ok) return transcript
    // Another recording has arrived meanwhile: without this check the call would be summarised twice.
    if (!(await isCurrent(this.#parts.knex, this.#job, this.#call.revision)))
      return setBack({ kind: 'waiting', afterMs: 0 })
    const summary = await this.#take('summary', z.string(), () => summarise(openai, transcript.value, aborted))
    if (!summary.ok) return summary
    const facts = await this.#take('extraction', extractedFacts, () =>
      extractFacts(openai, summary.value, this.#call.serviceCategories, aborted),
    )
    if (!facts.ok) return facts
    return done({ transcript: transcript.value, summary: summary.value, ...facts.value })
  }

  async #transcript(): Promise<Outcome<string>> {
    const { recordings, finishedSteps } = this.#call
    if (!finishedSteps.has('transcript')) {
      if (recordings.length === 0) {
        const error = await lastRecordingError(this.#parts.knex, this.#job)
        return setBack({ kind: 'hopeless', error: error ?? 'the call has no recording' })
      }
      const audio = await this.#take('audio', fetchedAudio, () => this.#recordings.fetchAll())
      if (!audio.ok) return audio
    }
    return this.#take('transcript', z.string(), () => this.#recordings.transcribeAll())
  }

  /** A step's committed result, or else what `perform` finds, committed. */
  async #take<T>(step: StepName, schema: z.ZodType<T>, perform: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const { knex } = this.#parts
    this.#step = step
    if (this.#call.finishedSteps.has(step)) return committed(schema, this.#call.finishedSteps.get(step))
    if (this.#signals.stopping.aborted) return setBack({ kind: 'interrupted' })
    const begun = await beginStep(knex, this.#job, step, this.#call.revision)
    if (begun.finished) return committed(schema, begun.result)
    const outcome = await this.#measured(step, perform)
    return outcome.ok
      ? committed(schema, await finishStep(knex, this.#job, step, this.#call.revision, outcome.value))
      : outcome
  }

  async #complete(results: CallResults): Promise<Outcome<Completion>> {
    const { knex, config, timings } = this.#parts
    const { stopping, aborted } = this.#signals
    this.#step = 'completion'
    if (stopping.aborted) return setBack({ kind: 'interrupted' })
    const ready = await awaitFinalStatus(knex, config.twilio, this.#job, timings.statusPollMs, aborted)
    if (!ready.ok) return ready
    const begun = await beginStep(knex, this.#job, 'completion', this.#call.revision)
    if (begun.finished) return setBack({ kind: 'over' })
    return this.#measured('completion', () => completeCall(knex, this.#job, this.#call.revision, results))
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
