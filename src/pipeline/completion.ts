import type { Knex } from 'knex'
import { callCompleted, callCompletedPayload } from '../calls/call-completed-event.ts'
import type { Direction } from '../calls/call-facts.ts'
import { callTimes } from '../calls/call-times.ts'
import { lockCall } from '../calls/locks.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { recordedTimes } from '../calls/recordings.ts'
import type { ExtractedFacts } from './answers/facts-answer.ts'
import { done, type Outcome, setBack } from './outcome.ts'

export interface CallResults extends ExtractedFacts {
  transcript: string
  summary: string
}

interface CallRow {
  revision: number
  started_at: Date | null
  ended_at: Date | null
  duration_sec: number | null
  completed_at: Date | null
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

/** How a call was completed. */
export interface Completion {
  direction: Direction
  /** It had been completed before: its results are replaced, and no event is sent. */
  isRepeat: boolean
}

/**
 * The one transaction that completes a call: its results, its state and its outbox row commit together or not at all.
 * The direction must be known: without it nothing says where the event may go.
 *
 * @param revision of the call that the results are made from. If the call has got another recording since, nothing
 *   is completed and the call is to be run again.
 */
export async function completeCall(
  knex: Knex,
  job: RecordingJob,
  revision: number,
  results: CallResults,
): Promise<Outcome<Completion>> {
  try {
    return await knex.transaction((trx) => complete(trx, job, revision, results))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === payloadTooBig)) throw error
    return setBack({
      kind: 'hopeless',
      error: 'the payload is over 1 MiB: make the metadata of the call smaller, then reprocess it',
    })
  }
}

async function complete(
  trx: Knex.Transaction,
  job: RecordingJob,
  revision: number,
  results: CallResults,
): Promise<Outcome<Completion>> {
  const key = { business_id: job.businessId, call_sid: job.callSid }
  await lockCall(trx, job.callSid)
  const call = await trx<CallRow>('callbox.calls')
    .where(key)
    .whereIn('state', ['queued', 'processing'])
    .forUpdate()
    .first()
  if (call === undefined) return setBack({ kind: 'over' })
  if (call.revision !== revision) return setBack({ kind: 'waiting', afterMs: 0 })
  const { direction } = call
  if (direction === null) throw new Error('a call is completed without a direction')
  const isRepeat = call.completed_at !== null
  const times = callTimes({ ...(await recordedTimes(trx, job)), ...call })
  const [completed] = await trx('callbox.calls')
    .where(key)
    .update({
      ...results,
      direction,
      started_at: times.startedAt,
      ended_at: times.endedAt,
      duration_sec: times.durationSec,
      state: 'completed',
      error: null,
      completed_at: call.completed_at ?? trx.raw('clock_timestamp()'),
    })
    .returning<{ completed_at: Date }[]>('completed_at')
  if (completed === undefined) throw new Error('a call that was locked is gone')
  if (!isRepeat)
    await enqueue(trx, job, { ...call, ...times, ...results, direction, completedAt: completed.completed_at })
  // The results are in the call now; kept twice, retention would have to find them twice.
  await trx('callbox.call_steps').where(key).update({ result: null })
  await trx('callbox.call_steps')
    .where({ ...key, step: 'completion' })
    .update({ error: null, finished_at: trx.raw('clock_timestamp()') })
  return done({ direction, isRepeat })
}

type CompletedNow = CallResults & Pick<CallRow, 'from_number' | 'to_number'> & ReturnType<typeof callTimes>

async function enqueue(
  trx: Knex.Transaction,
  job: RecordingJob,
  call: CompletedNow & { direction: Direction; completedAt: Date },
): Promise<void> {
  const details = await trx('callbox.call_details')
    .where({ call_sid: job.callSid })
    .first<DetailsRow | undefined>('lead_id', 'customer_name', 'agent_name', trx.raw('metadata::text as metadata'))
  const payload = callCompletedPayload({
    businessId: job.businessId,
    callSid: job.callSid,
    completedAt: call.completedAt,
    direction: call.direction,
    fromNumber: call.from_number,
    toNumber: call.to_number,
    startedAt: call.startedAt,
    endedAt: call.endedAt,
    durationSec: call.durationSec,
    transcript: call.transcript,
    summary: call.summary,
    city: call.city,
    serviceCategory: call.service_category,
    leadId: details?.lead_id ?? '',
    customerName: details?.customer_name ?? '',
    agentName: details?.agent_name ?? '',
    metadata: details?.metadata ?? '{}',
  })
  await trx.raw('select callbox.callbox_enqueue(?, ?, ?, ?, ?)', [
    job.businessId,
    job.callSid,
    callCompleted,
    call.direction,
    payload,
  ])
}
