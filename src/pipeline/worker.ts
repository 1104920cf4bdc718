import { fromKnex, type Job, type PgBoss } from 'pg-boss'
import { z } from 'zod'
import { bossPool, openBoss, type RecordingJob, recordingQueue, sendJob, startBoss } from '../calls/recording-queue.ts'
import type { GuardedPool } from '../database/guarded-pool.ts'
import type { HintSender } from '../database/hints.ts'
import type { Logger } from '../telemetry/logger.ts'
import { backoffMs, givenUp, isGivenUp, type PassingSetback, refusedWaitMs } from './backoff.ts'
import { noteStepError } from './call-steps.ts'
import { giveUp } from './failure.ts'
import { type Setback, type StepName, stepNames } from './outcome.ts'
import type { Pause } from './pause.ts'
import { type RunEnd, type RunParts, runCall, type StepSetback } from './run-call.ts'

/** Calls that one process works on at a time; nearly all of that time is waiting for others. */
const concurrency = 10

const count = z.number().default(0)

/** A job and how it fared: the step that last was set back, and how often it was, by the kind of the setback. */
const queuedRecording = z.object({
  businessId: z.string(),
  callSid: z.string(),
  step: z.enum(stepNames).optional(),
  tries: z.object({ outage: count, absent: count, unreadable: count, unusable: count, refused: count }).prefault({}),
  /** When the step was first refused, in milliseconds since 1970. */
  refusedAt: z.number().optional(),
})
type QueuedRecording = z.infer<typeof queuedRecording>

const noTries = { outage: 0, absent: 0, unreadable: 0, unusable: 0, refused: 0 }

export interface WorkerParts extends RunParts {
  databaseUrl: string
  hints: HintSender
}

/**
 * Takes recording jobs and runs their calls. A job whose run was set back is replaced by a new one that is due later, in
 * one transaction and only while it is still ours: so waiting holds no worker, pg-boss's own retry is left to dead
 * workers alone, and its few seconds hold however often a call was set back before.
 */
export class RecordingWorker {
  readonly #parts: WorkerParts
  readonly #log: Logger
  readonly #pause: Pause
  readonly #pool: GuardedPool
  readonly #boss: PgBoss
  readonly #stopping = new AbortController()
  readonly #aborting = new AbortController()
  #probeTimer: NodeJS.Timeout | null = null

  constructor(parts: WorkerParts) {
    this.#parts = parts
    this.#log = parts.log
    this.#pause = parts.pause
    this.#pool = bossPool(parts.databaseUrl, parts.log, 'work')
    this.#boss = openBoss(this.#pool, parts.config.databaseSchema, parts.log, 'work')
  }

  /** @throws Error when the database is away or lacks pg-boss's schema. */
  async start(): Promise<void> {
    await startBoss(this.#boss)
    this.#work(concurrency, this.#parts.timings.pollMs)
  }

  /** Steps that run get some time to end; then their jobs are handed back for other workers. */
  async stop(): Promise<void> {
    const { drainMs } = this.#parts.timings
    this.#stopping.abort()
    if (this.#probeTimer) clearTimeout(this.#probeTimer)
    const timer = setTimeout(() => this.#aborting.abort(), drainMs)
    await this.#boss.stop({ graceful: true, timeout: drainMs + 5_000 })
    clearTimeout(timer)
    await this.#pool.end()
  }

  async ready(): Promise<string | null> {
    if (this.#stopping.signal.aborted) return 'the pipeline is stopping'
    return (await this.#boss.getQueue(recordingQueue)) ? null : 'the recording queue is not there'
  }

  /** While a service refuses us, one job now and then is taken as a probe; else as many as there are workers. */
  pauseChanged(): void {
    if (this.#stopping.signal.aborted) return
    if (this.#probeTimer) clearTimeout(this.#probeTimer)
    this.#boss.offWork(recordingQueue, { wait: false }).catch((err) => this.#report(err))
    const { probeMs, pollMs } = this.#parts.timings
    if (this.#pause.on) this.#probeTimer = setTimeout(() => this.#work(1, probeMs), probeMs)
    else this.#work(concurrency, pollMs)
  }

  #work(localConcurrency: number, pollMs: number): void {
    const options = { localConcurrency, pollingIntervalSeconds: pollMs / 1000 }
    this.#boss.work(recordingQueue, options, (jobs) => this.#handle(jobs)).catch((err) => this.#report(err))
  }

  #report(err: unknown): void {
    this.#log.error({ event: 'queue.error', err }, 'the recording queue cannot be worked on')
  }

  async #handle(jobs: Job<unknown>[]): Promise<void> {
    for (const job of jobs) {
      const queued = queuedRecording.parse(job.data)
      const aborted = AbortSignal.any([this.#aborting.signal, job.signal])
      const end = await runCall(this.#parts, queued, { stopping: this.#stopping.signal, aborted })
      await this.#settle(job, queued, end)
    }
  }

  async #settle(job: Job<unknown>, queued: QueuedRecording, end: RunEnd): Promise<void> {
    if (end.kind === 'setback') return this.#settleSetback(job, queued, end)
    if (end.kind === 'completed' && end.isRepeat) {
      const { businessId, callSid } = queued
      const call = { call_sid: callSid, business_id: businessId }
      this.#log.info({ event: 'call.reprocessed', ...call }, 'the results of a completed call are replaced')
    } else if (end.kind === 'completed') {
      const { businessId, callSid } = queued
      this.#parts.hints.hint(businessId, end.direction)
      this.#parts.metrics.callsCompleted.inc({ direction: end.direction })
      this.#log.info(
        { event: 'call.completed', call_sid: callSid, business_id: businessId, direction: end.direction },
        'a call is completed',
      )
    }
    await this.#parts.audioFiles.remove(queued)
  }

  async #settleSetback(job: Job<unknown>, queued: QueuedRecording, end: StepSetback): Promise<void> {
    const { setback } = end
    switch (setback.kind) {
      case 'interrupted':
        return this.#handBack(job, queued, end, null, 0)
      case 'waiting':
        return this.#handBack(job, queued, end, null, setback.afterMs)
      case 'held':
        return this.#handBack(job, queued, end, setback.error, setback.afterMs * (1 + 0.1 * Math.random()))
      case 'refused':
        return this.#settleRefusal(job, queued, end, setback)
      case 'hopeless':
        return this.#giveUp(job, queued, end, setback.error)
      default:
        return this.#tryAgain(job, queued, end, setback)
    }
  }

  /**
   * Pauses the queue. A call that is refused again although others were answered meanwhile (a proxy accepts all but the
   * longest recordings) does not hold up other calls: it waits alone, for as long as it takes.
   */
  async #settleRefusal(
    job: Job<unknown>,
    queued: QueuedRecording,
    end: StepSetback,
    { step, error }: Setback & { kind: 'refused' },
  ): Promise<void> {
    const before = queued.step === step ? queued : { ...queued, tries: noTries, refusedAt: undefined }
    const { refusedAt = Date.now() } = before
    const isAlone = this.#pause.answeredSince(step, refusedAt)
    const refused = before.tries.refused + (isAlone ? 1 : 0)
    const next = { ...before, step, tries: { ...before.tries, refused }, refusedAt }
    if (!isAlone) {
      this.#pause.refused(step, error)
      // Due at once: it may be the next probe.
      return this.#handBack(job, next, end, error, 0)
    }
    const waitMs = Math.round(refusedWaitMs(refused, this.#parts.timings))
    this.#logRetry(next, step, error, refused, waitMs)
    await this.#handBack(job, next, end, error, waitMs)
  }

  async #tryAgain(
    job: Job<unknown>,
    queued: QueuedRecording,
    end: StepSetback,
    setback: PassingSetback,
  ): Promise<void> {
    const { step } = end
    const before = queued.step === step ? queued.tries : noTries
    const tries = before[setback.kind] + 1
    if (isGivenUp(setback, tries)) return this.#giveUp(job, queued, end, givenUp(setback, tries))
    const waitMs = Math.round(backoffMs(setback, tries, this.#parts.timings))
    this.#logRetry(queued, step, setback.error, tries, waitMs, end.cause)
    const next = { ...queued, step, tries: { ...before, [setback.kind]: tries } }
    await this.#handBack(job, next, end, setback.error, waitMs)
  }

  #logRetry(
    { businessId, callSid }: RecordingJob,
    step: StepName,
    error: string,
    tries: number,
    waitMs: number,
    err?: unknown,
  ): void {
    this.#log.warn(
      { event: 'call.retry', call_sid: callSid, business_id: businessId, step, error, tries, wait_ms: waitMs, err },
      `step ${step} is tried again later: ${error}`,
    )
    this.#parts.metrics.pipelineJobs.inc({ step, result: 'retry' })
  }

  /** Replaces the job by one that is due later. A job that is no longer ours is left to whose it is. */
  async #handBack(
    job: Job<unknown>,
    queued: QueuedRecording,
    { step, revision }: StepSetback,
    error: string | null,
    afterMs: number,
  ): Promise<void> {
    await this.#parts.knex.transaction(async (trx) => {
      const answer = await this.#boss.deleteJob(recordingQueue, job, { db: fromKnex(trx) })
      if (!('affected' in answer) || answer.affected !== 1) return
      await sendJob(this.#boss, trx, queued, afterMs)
      if (error !== null) await noteStepError(trx, queued, step, revision, error)
    })
  }

  /** Gives up a recording, after which the call continues with its others, or the call. */
  async #giveUp(job: Job<unknown>, queued: QueuedRecording, end: StepSetback, error: string): Promise<void> {
    const { knex, metrics, audioFiles } = this.#parts
    const { businessId, callSid } = queued
    const { step, revision, recordingSid } = end
    const fields = { call_sid: callSid, business_id: businessId, recording_sid: recordingSid, step, error }
    const outcome = await giveUp(knex, queued, { step, revision, recordingSid, error })
    if (outcome === 'go on') {
      this.#log.warn(
        { event: 'recording.unusable', ...fields },
        `a call continues without one of its recordings: ${error}`,
      )
      return this.#handBack(job, { businessId, callSid, tries: noTries }, end, null, 0)
    }
    if (outcome === 'failed') {
      metrics.pipelineJobs.inc({ step, result: 'failed' })
      this.#log.error({ event: 'call.failed', ...fields }, `a call failed in step ${step}: ${error}`)
    } else if (outcome === 'kept') {
      metrics.pipelineJobs.inc({ step, result: 'failed' })
      this.#log.error({ event: 'call.reprocess_failed', ...fields }, `a completed call keeps its results: ${error}`)
    }
    await audioFiles.remove(queued)
  }
}
