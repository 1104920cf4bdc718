import type { Knex } from 'knex'
import pRetry from 'p-retry'
import type { RecordingJob } from '../calls/recording-queue.ts'
import type { StepName } from './outcome.ts'

/** What the pipeline needs to know of a call that it works on, and of its business; unknown is `''` or empty. */
export interface CallInWork {
  recordingUrl: string
  language: string
  /** A language that the transcription service did not take. */
  rejectedLanguage: string
  serviceCategories: string[]
  /** Committed results. */
  finishedSteps: Map<StepName, unknown>
}

const keyOf = (job: RecordingJob) => ({ business_id: job.businessId, call_sid: job.callSid })

/** Takes a call into work. `null`: nothing is to be done about it, because it has ended or is not there. */
export async function takeCall(knex: Knex, job: RecordingJob): Promise<CallInWork | null> {
  const [call] = await knex('callbox.calls')
    .where(keyOf(job))
    .whereIn('state', ['queued', 'processing'])
    .update({ state: 'processing' })
    .returning<{ recording_url: string | null }[]>('recording_url')
  if (call === undefined) return null
  const business = await knex('callbox.businesses')
    .where({ business_id: job.businessId })
    .first<{ language: string; rejected_language: string; service_categories: string[] } | undefined>(
      ...(['language', 'rejected_language', 'service_categories'] as const),
    )
  const steps = await knex('callbox.call_steps')
    .where(keyOf(job))
    .whereNotNull('finished_at')
    .select<{ step: StepName; result: unknown }[]>('step', 'result')
  return {
    recordingUrl: call.recording_url ?? '',
    language: business?.language ?? '',
    rejectedLanguage: business?.rejected_language ?? '',
    serviceCategories: business?.service_categories ?? [],
    finishedSteps: new Map(steps.map(({ step, result }) => [step, result])),
  }
}

/**
 * Begins a step, unless it has been finished: then its committed result is the answer. A finished step without a
 * result belongs to a call that another run has completed.
 */
export async function beginStep(
  knex: Knex,
  job: RecordingJob,
  step: StepName,
): Promise<{ finished: false } | { finished: true; result: unknown }> {
  const begun = await knex.raw<{ rows: unknown[] }>(
    `insert into callbox.call_steps as s (business_id, call_sid, step, attempts) values (?, ?, ?, 1)
     on conflict (business_id, call_sid, step)
     do update set attempts = s.attempts + 1, started_at = clock_timestamp() where s.finished_at is null
     returning step`,
    [job.businessId, job.callSid, step],
  )
  if (begun.rows.length > 0) return { finished: false }
  const row = await knex('callbox.call_steps')
    .where({ ...keyOf(job), step })
    .first<{ result: unknown } | undefined>('result')
  return { finished: true, result: row?.result ?? null }
}

/**
 * Commits a step's result. Of two runs the first one's stays, and both go on with that one. A result that was paid for
 * is worth some seconds of asking a database that is just being restarted.
 *
 * @returns the committed result; `null`: the call has been completed by another run.
 */
export async function finishStep(knex: Knex, job: RecordingJob, step: StepName, result: unknown): Promise<unknown> {
  const commit = async (): Promise<unknown> => {
    const finished = await knex('callbox.call_steps')
      .where({ ...keyOf(job), step })
      .whereNull('finished_at')
      .update({ result: JSON.stringify(result), error: null, finished_at: knex.raw('clock_timestamp()') })
    if (finished > 0) return result
    const again = await beginStep(knex, job, step)
    return again.finished ? again.result : result
  }
  return pRetry(commit, { retries: 6, minTimeout: 250 })
}

/** What went wrong with a step that will be tried again, or with the call for good. */
export async function noteStepError(
  trx: Knex.Transaction,
  job: RecordingJob,
  step: StepName,
  error: string,
): Promise<void> {
  await trx.raw(
    `insert into callbox.call_steps as s (business_id, call_sid, step, error) values (?, ?, ?, ?)
     on conflict (business_id, call_sid, step) do update set error = excluded.error where s.finished_at is null`,
    [job.businessId, job.callSid, step, error],
  )
}
