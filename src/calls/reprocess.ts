import type { Knex } from 'knex'
import { lockCall } from './locks.ts'
import type { RecordingSender } from './recording-queue.ts'

export type Reprocessing =
  | { result: 'queued'; businessId: string }
  | { result: 'not_found' }
  /** Only a failed call is processed again; `state` is what it is instead. */
  | { result: 'not_failed'; state: string }

/** Queues a failed call again. Its finished steps are kept, so only what failed is done anew. */
export async function reprocess(trx: Knex.Transaction, queue: RecordingSender, callSid: string): Promise<Reprocessing> {
  await lockCall(trx, callSid)
  const call = await trx('callbox.calls')
    .where({ call_sid: callSid })
    .first<{ business_id: string; state: string } | undefined>('business_id', 'state')
  if (call === undefined) return { result: 'not_found' }
  if (call.state !== 'failed') return { result: 'not_failed', state: call.state }
  await trx('callbox.calls')
    .where({ business_id: call.business_id, call_sid: callSid })
    .update({ state: 'queued', error: null, failed_at: null })
  await queue.send(trx, { businessId: call.business_id, callSid })
  return { result: 'queued', businessId: call.business_id }
}
