import type { Knex } from 'knex'
import { applyCallFacts, type Direction, factsOfCallResource, isFinalStatus } from '../calls/call-facts.ts'
import { lockCall } from '../calls/locks.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { fetchCallResource } from '../calls/twilio-api.ts'
import type { Config } from '../config.ts'
import { done, type Outcome, setBack } from './outcome.ts'

/** How long a call waits for its final status callback after its recording was stored, in milliseconds. */
const longestWaitMs = 60_000

interface Known {
  direction: Direction | null
  twilio_status: string
  waited_ms: number
}

/**
 * Lets a call go on once its direction is known and its final status is, or is not to be had: its callback has not come
 * within 60 s, and the Call resource does not say it either.
 *
 * @param pollMs how long the job waits until it looks for the callback again, holding no worker.
 */
export async function awaitFinalStatus(
  knex: Knex,
  settings: Config['twilio'],
  job: RecordingJob,
  pollMs: number,
  signal: AbortSignal,
): Promise<Outcome<null>> {
  const key = { business_id: job.businessId, call_sid: job.callSid }
  const known = await knex('callbox.calls')
    .where(key)
    .first<Known | undefined>(
      'direction',
      'twilio_status',
      knex.raw(
        `(select to_json(coalesce(extract(epoch from clock_timestamp() - max(r.received_at)) * 1000, 0))
          from callbox.call_recordings r
          where r.business_id = calls.business_id and r.call_sid = calls.call_sid and r.state <> 'unusable') as waited_ms`,
      ),
    )
  if (known === undefined) return setBack({ kind: 'over' })
  if (known.direction !== null && isFinalStatus(known.twilio_status)) return done(null)
  const leftMs = longestWaitMs - known.waited_ms
  if (leftMs > 0) return setBack({ kind: 'waiting', afterMs: Math.min(pollMs, leftMs) })
  const answer = await fetchCallResource(settings, job.callSid, signal)
  if (answer.found === null) {
    if (signal.aborted) return setBack({ kind: 'interrupted' })
    return known.direction === null ? setBack({ kind: 'outage', error: answer.why }) : done(null)
  }
  if (!answer.found) return done(null)
  const facts = factsOfCallResource(answer.resource)
  if (known.direction === null && facts.direction === null) {
    return setBack({ kind: 'hopeless', error: 'Twilio gives the call a direction that is not known' })
  }
  await knex.transaction(async (trx) => {
    await lockCall(trx, job.callSid)
    await applyCallFacts(trx, job, facts)
  })
  return done(null)
}
