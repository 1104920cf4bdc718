import type { Knex } from 'knex'
import { callCompleted, callCompletedPayload } from '../calls/call-completed-event.ts'
import type { Direction } from '../calls/call-facts.ts'
import { callTimes, type KnownTimes } from '../calls/call-times.ts'
import { lockCall } from '../calls/locks.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import type { ExtractedFacts } from './extraction.ts'
import { done, type Outcome, setBack } from './outcome.ts'

export interface CallResults extends ExtractedFacts {
  transcript: string
  summary: string
}

interface CallRow extends KnownTimes {
  direction: Direction | null
  from_number: string
  to_number: string
}

interface DetailsRow {
  lead_id: string
  customer_name: string
  agent_name: string
  metadata: string
}

/** SQLSTATE of `callbox_enqueue` for a payload over 1 MiB: `program_limit_exceeded`. */
const payloadTooBig = '54000'

/**
 * The one transaction that completes a call: its results, its state and its outbox row commit together or not at all.
 * A call whose direction nobody told is inbound.
 */
export async function completeCall(
  knex: Knex,
  job: RecordingJob,
  results: CallResults,
): Promise<Outcome<{ direction: Direction }>> {
  try {
    const direction = await knex.transaction((trx) => complete(trx, job, results))
    return direction === null ? setBack({ kind: 'over' }) : done({ direction })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === payloadTooBig)) throw error
    return setBack({
      kind: 'hopeless',
      error: 'the payload is over 1 MiB: make the metadata of the call smaller, then reprocess it',
    })
  }
}

async function complete(trx: Knex.Transaction, job: RecordingJob, results: CallResults): Promise<Direction | null> {
  const key = { business_id: job.businessId, call_sid: job.callSid }
  await lockCall(trx, job.callSid)
  const call = await trx<CallRow>('callbox.calls')
    .where(key)
    .whereIn('state', ['queued', 'processing'])
    .forUpdate()
    .first()
  if (call === undefined) return null
  const direction = call.direction ?? 'inbound'
  const times = callTimes(call)
  const [completed] = await trx('callbox.calls')
    .where(key)
    .update({
      ...results,
      direction,
      started_at: times.startedAt,
      ended_at: times.endedAt,
      duration_sec: times.durationSec,
      state: 'completed',
      completed_at: trx.raw('clock_timestamp()'),
    })
    .returning<{ completed_at: Date }[]>('completed_at')
  if (completed === undefined) throw new Error('a call that was locked is gone')
  const details = await trx('callbox.call_details')
    .where({ call_sid: job.callSid })
    .first<DetailsRow | undefined>('lead_id', 'customer_name', 'agent_name', trx.raw('metadata::text as metadata'))
  const payload = callCompletedPayload({
    businessId: job.businessId,
    callSid: job.callSid,
    completedAt: completed.completed_at,
    direction,
    fromNumber: call.from_number,
    toNumber: call.to_number,
    ...times,
    transcript: results.transcript,
    summary: results.summary,
    city: results.city,
    serviceCategory: results.service_category,
    leadId: details?.lead_id ?? '',
    customerName: details?.customer_name ?? '',
    agentName: details?.agent_name ?? '',
    metadata: details?.metadata ?? '{}',
  })
  await trx.raw('select callbox.callbox_enqueue(?, ?, ?, ?, ?)', [
    job.businessId,
    job.callSid,
    callCompleted,
    direction,
    payload,
  ])
  // The results are in the call now; kept twice, retention would have to find them twice.
  await trx('callbox.call_steps').where(key).update({ result: null })
  await trx('callbox.call_steps')
    .where({ ...key, step: 'completion' })
    .update({ error: null, finished_at: trx.raw('clock_timestamp()') })
  return direction
}
