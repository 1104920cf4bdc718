import type { Knex } from 'knex'
import { lockCall } from '../calls/locks.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { hasUsableRecording, markUnusable } from '../calls/recordings.ts'
import { noteStepError } from './call-steps.ts'
import type { StepName } from './outcome.ts'

/** A step that failed for good, in a run that worked from this revision of the call. */
export interface LostStep {
  step: StepName
  revision: number
  /** The recording concerned; `null`: the call as a whole. */
  recordingSid: string | null
  error: string
}

/**
 * The outcome. `failed`: the call ends as failed; `kept`: the call had been completed before, and keeps those results;
 * `go on`: the call has other recordings, or has got one meanwhile; `over`: another run had ended it before.
 */
export type GivenUp = 'failed' | 'kept' | 'go on' | 'over'

/**
 * Gives up a recording that cannot be used, and the call unless another recording can. What its finished steps found
 * stays, for when it is reprocessed.
 */
export async function giveUp(knex: Knex, job: RecordingJob, lost: LostStep): Promise<GivenUp> {
  const { step, revision, recordingSid, error } = lost
  const key = { business_id: job.businessId, call_sid: job.callSid }
  return knex.transaction(async (trx) => {
    await lockCall(trx, job.callSid)
    if (recordingSid !== null) await markUnusable(trx, job, recordingSid, error)
    const call = await trx('callbox.calls')
      .where(key)
      .whereIn('state', ['queued', 'processing'])
      .first<{ revision: number; completed_at: Date | null } | undefined>('revision', 'completed_at')
    if (call === undefined) return 'over'
    await noteStepError(trx, job, step, revision, error)
    if (call.revision !== revision) return 'go on'
    if (recordingSid !== null && (await hasUsableRecording(trx, job))) return 'go on'
    if (call.completed_at !== null) {
      await trx('callbox.calls').where(key).update({ state: 'completed', error })
      return 'kept'
    }
    await trx('callbox.calls')
      .where(key)
      .update({ state: 'failed', error, failed_at: trx.raw('clock_timestamp()') })
    return 'failed'
  })
}
