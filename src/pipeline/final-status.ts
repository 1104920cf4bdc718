import type { Knex } from 'knex'
import { type Direction, directionOf, factsOfCallResource, isFinalStatus } from '../calls/call-facts.ts'
import { noteLegsKnown, readFamily, recordLeg } from '../calls/call-legs.ts'
import { releaseIfWrong, updateCall } from '../calls/call-record.ts'
import { lockCall } from '../calls/locks.ts'
import type { RecordingJob } from '../calls/recording-queue.ts'
import { type CallResource, fetchCall, fetchLegs, type TwilioAsker } from '../calls/twilio-api.ts'
import type { Config } from '../config.ts'
import { done, type Outcome, setBack } from './outcome.ts'

/** How long a call waits for its final status callback after its recording was stored, in milliseconds. */
const maxWaitMs = 60_000
/** Twilio ends a call after 24 hours at the latest (its documentation, "Call Resource", TimeLimit). */
const maxCallMs = 25 * 3_600_000
/** Polls between two questions whether a call still goes on. */
const pollsOfLiveCall = 15

interface Known {
  direction: Direction | null
  account_sid: string
  twilio_status: string
  waited_ms: number
}

/**
 * Lets a call go on once its direction and parties are known, and its final status is or is not to be had: its callback
 * has not come within 60 s, and the Call resource does not say it either. No call continues without a direction.
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
  const known = await knownOf(knex, job)
  if (known === undefined) return setBack({ kind: 'over' })
  const asker: TwilioAsker = { settings, accountSid: known.account_sid, signal }
  if (known.direction !== null && isFinalStatus(known.twilio_status)) return await learnLegs(knex, asker, job)

  const leftMs = maxWaitMs - known.waited_ms
  if (leftMs > 0) return setBack({ kind: 'waiting', afterMs: Math.min(pollMs, leftMs) })
  const answer = await fetchCall(asker, job.callSid)
  if (answer.found) {
    if (directionOf(answer.value.direction) === null)
      return noDirection('Twilio reports one that Callbox does not know')
    await record(knex, job, [{ ...answer.value, sid: job.callSid }])
    // It was recorded before it ended, at a hold for example: more recordings may follow.
    const status = answer.value.status ?? ''
    const isLive = status !== '' && !isFinalStatus(status)
    if (isLive && known.waited_ms < maxCallMs) return setBack({ kind: 'waiting', afterMs: pollMs * pollsOfLiveCall })
  } else if (known.direction === null) {
    return answer.found === null ? unanswered(answer.why, signal) : noDirection('Twilio knows no such call')
  }
  return await learnLegs(knex, asker, job)
}

/**
 * Fetches the legs of an outbound call: they may show that it was a click-to-call, whose customer is on another leg.
 * Callbox may get no callbacks for them.
 */
async function learnLegs(knex: Knex, asker: TwilioAsker, job: RecordingJob): Promise<Outcome<null>> {
  const known = await knownOf(knex, job)
  const root = await knex.transaction(async (trx) => (await readFamily(trx, job.callSid)).root)
  const needed = known?.direction === null || known?.direction === 'outbound'
  if (needed && !root?.legsKnown) {
    const legs = await fetchLegs(asker, job.callSid)
    if (legs.found === null) return unanswered(legs.why, asker.signal)
    await record(knex, job, legs.found ? legs.value : [], true)
  }
  const settled = await knownOf(knex, job)
  if (settled === undefined) return setBack({ kind: 'over' })
  return settled.direction === null ? noDirection('its legs do not show it') : done(null)
}

async function record(knex: Knex, job: RecordingJob, resources: CallResource[], isAll = false): Promise<void> {
  await knex.transaction(async (trx) => {
    await lockCall(trx, job.callSid)
    for (const resource of resources) {
      const leg = { callSid: resource.sid, parentCallSid: resource.parent_call_sid || null }
      await recordLeg(trx, leg, factsOfCallResource(resource))
    }
    if (isAll) await noteLegsKnown(trx, job.callSid)
    if (!(await releaseIfWrong(trx, job))) await updateCall(trx, job)
  })
}

const knownOf = (knex: Knex, job: RecordingJob): Promise<Known | undefined> =>
  knex('callbox.calls')
    .where({ business_id: job.businessId, call_sid: job.callSid })
    .first<Known | undefined>(
      'direction',
      'account_sid',
      'twilio_status',
      knex.raw(
        `(select to_json(coalesce(extract(epoch from clock_timestamp() - max(r.received_at)) * 1000, 0))
          from callbox.call_recordings r
          where r.business_id = calls.business_id and r.call_sid = calls.call_sid and r.state <> 'unusable') as waited_ms`,
      ),
    )

const noDirection = (why: string): Outcome<null> =>
  setBack({ kind: 'hopeless', error: `the direction of the call is not known: ${why}` })

const unanswered = (why: string, signal: AbortSignal | undefined): Outcome<null> =>
  setBack(signal?.aborted ? { kind: 'interrupted' } : { kind: 'outage', error: why })
