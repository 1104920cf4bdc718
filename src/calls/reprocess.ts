import type { Knex } from 'knex'
import { lockCall } from './locks.ts'
import type { RecordingSender } from './recording-queue.ts'
import { reopenRecordings } from './recordings.ts'

export type Reprocessing =
  | { result: 'queued'; businessId: string }
  | { result: 'not_found' }
  /** Only a failed or completed call is processed again; `state` is what it is instead. */
  | { result: 'not_ended'; state: string }

/**
 * Queues a failed or completed call again. No recording is transcribed twice. The finished steps of a failed
 * call are kept, so only the failed ones run again. A completed call is summarised again from all of its recordings; the
 * new results replace the old ones, and no second event is sent.
 */
export async function reprocess(trx: Knex.Transaction, queue: RecordingSender, callSid: string): Promise<Reprocessing> {
  await lockCall(trx, callSid)
  const call = await trx('callbox.calls')
    .where({ call_sid: callSid })
    .orderBy('created_at', 'desc')
    .first<{ business_id: string; state: string } | undefined>('business_id', 'state')
  if (call === undefined) return { result: 'not_found' }
  const { business_id: businessId, state } = call
  if (state !== 'failed' && state !== 'completed') return { result: 'not_ended', state }
  const reopened = await reopenRecordings(trx, { businessId, callSid })
  await trx('callbox.calls')
    .where({ business_id: businessId, call_sid: callSid })
    .update({
      state: 'queued',
      error: null,
      failed_at: null,
      ...(state === 'completed' || reopened > 0 ? { revision: trx.raw('revision + 1') } : {}),
    })
  await queue.send(trx, { businessId, callSid })
  return { result: 'queued', businessId }
}
