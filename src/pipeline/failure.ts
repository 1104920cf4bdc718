import type { Knex } from 'knex'
import { lockCall } from '../calls/locks.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { noteStepError } from './call-steps.ts'
import type { StepName } from './outcome.ts'

/**
 * Ends a call that cannot be processed. What its finished steps found stays, for when it is reprocessed.
 *
 * @returns whether this changed it: another run may have ended it before.
 */
export async function failCall(knex: Knex, job: RecordingJob, step: StepName, error: string): Promise<boolean> {
  return knex.transaction(async (trx) => {
    await lockCall(trx, job.callSid)
    const failed = await trx('callbox.calls')
      .where({ business_id: job.businessId, call_sid: job.callSid })
      .whereIn('state', ['queued', 'processing'])
      .update({ state: 'failed', error, failed_at: trx.raw('clock_timestamp()') })
    await noteStepError(trx, job, step, error)
    return failed > 0
  })
}
