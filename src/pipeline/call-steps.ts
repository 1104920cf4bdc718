import type { Knex } from 'knex'
import pRetry from 'p-retry'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { type UsableRecording, usableRecordings } from '../calls/recordings.ts'
import { isDataException } from '../database/errors.ts'
import type { StepName } from './outcome.ts'

/** What the pipeline needs to know of a call that it works on, and of its business; unknown is `''` or empty. */
export interface CallInWork {
  /** The revision that the run works from: once the call's is higher, this run's results are out of date. */
  revision: number
  /** In the order in which they started. */
  recordings: UsableRecording[]
  language: string
  /** A language that the transcription service rejected. */
  rejectedLanguage: string
  serviceCategories: string[]
  /** Committed results of this revision. */
  finishedSteps: Map<StepName, unknown>
}

const keyOf = (job: RecordingJob) => ({ business_id: job.businessId, call_sid: job.callSid })

/** Takes a call into work. `null`: nothing is to be done about it, because it has ended or is not there. */
export async function takeCall(knex: Knex, job: RecordingJob): Promise<CallInWork | null> {
  const [call] = await knex('callbox.calls')
    .where(keyOf(job))
    .whereIn('state', ['queued', 'processing'])
    .update({ state: 'processing' })
    .returning<{ revision: number }[]>('revision')
  if (call === undefined) return null
  const business = await knex('callbox.businesses')
    .where({ business_id: job.businessId })
    .first<{ language: string; rejected_language: string; service_categories: string[] } | undefined>(
      ...(['language', 'rejected_language', 'service_categories'] as const),
    )
  const steps = await knex('callbox.call_steps')
    .where(keyOf(job))
    .where({ revision: call.revision })
    .whereNotNull('finished_at')
    .select<{ step: StepName; result: unknown }[]>('step', 'result')
  return {
    revision: call.revision,
    recordings: await usableRecordings(knex, job),
    language: business?.language ?? '',
    rejectedLanguage: business?.rejected_language ?? '',
    serviceCategories: business?.service_categories ?? [],
    finishedSteps: new Map(steps.map(({ step, result }) => [step, result])),
  }
}

/** Whether the call still has the revision that a run works from. */
export async function isCurrent(knex: Knex, job: RecordingJob, revision: number): Promise<boolean> {
  return (
    (await knex('callbox.calls')
      .where({ ...keyOf(job), revision })
      .first('revision')) !== undefined
  )
}

/** A step that an earlier revision finished is begun again; one of a later revision is not touched. */
const beginStepStatement = `
  insert into callbox.call_steps as s (business_id, call_sid, step, attempts, revision)
  values (:businessId, :callSid, :step, 1, :revision)
  on conflict (business_id, call_sid, step) do update
  set attempts = case when s.finished_at is null then s.attempts + 1 else 1 end, started_at = clock_timestamp(),
    revision = excluded.revision, result = null, finished_at = null
  where s.revision < excluded.revision or (s.revision = excluded.revision and s.finished_at is null)
  returning step`

/**
 * Begins a step, unless it has been finished: then its committed result is the answer. A finished step without a
 * result belongs to a call that another run has completed, or has taken to a later revision.
 */
export async function beginStep(
  knex: Knex,
  job: RecordingJob,
  step: StepName,
  revision: number,
): Promise<{ finished: false } | { finished: true; result: unknown }> {
  const { businessId, callSid } = job
  const begun = await knex.raw<{ rows: unknown[] }>(beginStepStatement, { businessId, callSid, step, revision })
  if (begun.rows.length > 0) return { finished: false }
  const row = await knex('callbox.call_steps')
    .where({ ...keyOf(job), step, revision })
    .first<{ result: unknown } | undefined>('result')
  return { finished: true, result: row?.result ?? null }
}

/**
 * Commits a step's result. Of two runs the first one's stays, and both go on with that one.
 *
 * @returns the committed result; `null`: the call has been completed, or taken to a later revision, by another run.
 */
export async function finishStep(
  knex: Knex,
  job: RecordingJob,
  step: StepName,
  revision: number,
  result: unknown,
): Promise<unknown> {
  return insist(async () => {
    const finished = await knex('callbox.call_steps')
      .where({ ...keyOf(job), step, revision })
      .whereNull('finished_at')
      .update({ result: JSON.stringify(result), error: null, finished_at: knex.raw('clock_timestamp()') })
    if (finished > 0) return result
    const again = await beginStep(knex, job, step, revision)
    return again.finished ? again.result : result
  })
}

/** A result that was paid for is worth some seconds of asking a database that is just being restarted. */
export const insist = <T>(commit: () => Promise<T>): Promise<T> =>
  pRetry(commit, { retries: 6, minTimeout: 250, shouldRetry: ({ error }) => !isDataException(error) })

/** What went wrong with a step that will be tried again, or with the call for good. */
export async function noteStepError(
  trx: Knex.Transaction,
  job: RecordingJob,
  step: StepName,
  revision: number,
  error: string,
): Promise<void> {
  await trx.raw(
    `insert into callbox.call_steps as s (business_id, call_sid, step, revision, error) values (?, ?, ?, ?, ?)
     on conflict (business_id, call_sid, step) do update set error = excluded.error
     where s.finished_at is null and s.revision = excluded.revision`,
    [job.businessId, job.callSid, step, revision, error],
  )
}
