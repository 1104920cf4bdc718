import type { Knex } from 'knex'
import { directionOf, factsOfCallResource } from '../calls/call-facts.ts'
import { maxGenerations, parentOf, readFamily, recordLeg } from '../calls/call-legs.ts'
import { updateCall } from '../calls/call-record.ts'
import { lockBusinessesForMatching, lockCall } from '../calls/locks.ts'
import type { RecordingSender } from '../calls/recording-queue.ts'
import { hasUsableRecording } from '../calls/recordings.ts'
import type { Config } from '../config.ts'
import { maskPhone } from '../telemetry/logger.ts'
import type { CallAnswer, Question, ToldCall } from './call-lookup.ts'
import { businessIdOfUrl, type Callback, factsOfCallback, parseCallback } from './callback.ts'
import {
  nameCall,
  rememberCall,
  type StoredCallback,
  settleMatched,
  settleUnmatched,
  wakeOthers,
} from './callback-store.ts'
import { chooseCall } from './choose-call.ts'
import { findBusiness, whyMisnamed } from './find-business.ts'
import { applyRecording, type RecordingOutcome } from './recording.ts'

export interface MatchContext {
  settings: Config['twilio']
  queue: RecordingSender
}

export type MatchResult =
  | { outcome: 'matched'; businessId: string; callSid: string; recording: RecordingOutcome | null }
  | { outcome: 'unmatched'; reason: string }
  | { outcome: 'ask'; question: Question }
  | { outcome: 'not now'; why: string }

/** How many failed requests to Twilio a callback waits for if its business is known otherwise: about 7 s. */
const patience = 4

/**
 * Finds the call and the business of a stored callback and does what it says, in one transaction.
 *
 * A callback of a leg belongs to the leg's call. `ask` and `not now` leave the row as it was.
 *
 * Locks are taken in one order: the leg's CallSid, its call's, businesses, and only then a row is changed. So matchers
 * that change rows of each other's legs cannot wait for each other. The leg's own CallSid is locked because its
 * recording must not be called unmatched by a matcher that has not seen the leg's parent yet, while another one, which
 * has, looks for what waited for it.
 *
 * @param stored read under `lockCall` of its own CallSid.
 * @param answer what Twilio said when asked about the call; `null`: not asked yet.
 */
export async function matchCallback(
  trx: Knex.Transaction,
  stored: StoredCallback,
  answer: CallAnswer | null,
  context: MatchContext,
): Promise<MatchResult> {
  const callback = parseCallback(stored.body)
  const urlBusinessId = businessIdOfUrl(stored.query)
  if (stored.call_sid === '') {
    const named = await nameTheCall(trx, stored, callback, answer)
    if (typeof named !== 'string') return named
    return await matchCallback(trx, { ...stored, call_sid: named }, narrowed(answer, named), context)
  }
  const told = answer?.found ? (answer.value[0] ?? null) : null
  const above = told && told.callSid !== stored.call_sid ? told.callSid : stored.parent_call_sid
  const callSid = await lockItsCall(trx, stored.call_sid, above)
  await lockBusinessesForMatching(trx)
  const refusal = await refusalOf(trx, stored, callback, urlBusinessId, told)
  if (refusal !== null) return await leaveUnmatched(trx, stored, refusal)

  await recordLegs(trx, stored, callback, told, callSid)
  const place = await findBusiness(trx, {
    callSid,
    urlBusinessId: urlBusinessId === 'invalid' ? null : urlBusinessId,
    mayBeLeg: stored.kind === 'recording_status' && callSid === stored.call_sid,
    answer,
    told,
    patienceIsOver: stored.tries >= patience,
  })
  if ('ask' in place) {
    const { AccountSid: accountSid } = callback
    return { outcome: 'ask', question: { about: 'call', accountSid, callSid, withLegs: place.withLegs } }
  }
  if ('notNow' in place) return { outcome: 'not now', why: place.notNow }
  if ('unmatched' in place) return await leaveUnmatched(trx, stored, place.unmatched)

  const call = { businessId: place.businessId, callSid }
  await trx('callbox.calls')
    .insert({ business_id: call.businessId, call_sid: callSid, account_sid: callback.AccountSid })
    .onConflict()
    .ignore()
  const { directionIsNew } = await updateCall(trx, call)
  const recorded = stored.kind === 'recording_status' ? await applyRecording(trx, call, callback, context) : null
  const recording = directionIsNew && (await takeUpAgain(trx, call, context)) ? 'queued' : recorded
  await settleMatched(trx, stored.id, call.businessId)
  const { legs } = await readFamily(trx, callSid)
  await wakeOthers(trx, [stored.call_sid, callSid, ...legs.map((leg) => leg.callSid)])
  return { outcome: 'matched', ...call, recording }
}

/** Resumes a call that failed because its direction was unknown. @returns whether it was one. */
async function takeUpAgain(
  trx: Knex.Transaction,
  call: { businessId: string; callSid: string },
  { queue }: MatchContext,
): Promise<boolean> {
  if (!(await hasUsableRecording(trx, call))) return false
  const taken = await trx('callbox.calls')
    .where({ business_id: call.businessId, call_sid: call.callSid, state: 'failed' })
    .update({ state: 'queued', error: null, failed_at: null })
  if (taken > 0) await queue.send(trx, call)
  return taken > 0
}

async function leaveUnmatched(trx: Knex.Transaction, stored: StoredCallback, reason: string): Promise<MatchResult> {
  await settleUnmatched(trx, stored.id, reason)
  return { outcome: 'unmatched', reason }
}

/** The CallSid for a callback that names none (a conference's recording); a result, if it is not known yet. */
async function nameTheCall(
  trx: Knex.Transaction,
  stored: StoredCallback,
  callback: Callback,
  answer: CallAnswer | null,
): Promise<string | MatchResult> {
  const { AccountSid: accountSid, RecordingSid: recordingSid, ConferenceSid: conferenceSid } = callback
  if (stored.kind !== 'recording_status' || (recordingSid === '' && conferenceSid === '')) {
    return await leaveUnmatched(trx, stored, 'it names no CallSid')
  }
  if (answer === null) {
    return { outcome: 'ask', question: { about: 'recording', accountSid, recordingSid, conferenceSid } }
  }
  if (answer.found === null) return { outcome: 'not now', why: answer.why }
  if (!answer.found) return await leaveUnmatched(trx, stored, 'it names no CallSid, and Twilio knows no call for it')
  await lockBusinessesForMatching(trx)
  const urlBusinessId = businessIdOfUrl(stored.query)
  const misnamed = await whyMisnamed(trx, urlBusinessId)
  if (misnamed !== null) return await leaveUnmatched(trx, stored, misnamed)
  const chosen = await chooseCall(trx, answer.value, urlBusinessId)
  if (chosen === null) {
    return await leaveUnmatched(trx, stored, 'calls of two businesses were in its conference')
  }
  await nameCall(trx, stored.id, chosen)
  await lockCall(trx, chosen)
  return chosen
}

/** The resource of `callSid` in an answer about several calls. */
function narrowed(answer: CallAnswer | null, callSid: string): CallAnswer | null {
  if (!answer?.found) return answer
  return { found: true, value: answer.value.filter((told) => told.callSid === callSid) }
}

function parentNamed(stored: StoredCallback, told: ToldCall | null): string | null {
  const own = told?.resources.find(({ sid }) => sid === stored.call_sid)
  return own?.parent_call_sid || stored.parent_call_sid
}

/** Why a callback is unusable on its own; `null`: it is usable. */
async function refusalOf(
  trx: Knex.Transaction,
  stored: StoredCallback,
  callback: Callback,
  urlBusinessId: string | null | 'invalid',
  told: ToldCall | null,
): Promise<string | null> {
  const misnamed = await whyMisnamed(trx, urlBusinessId)
  if (misnamed !== null) return misnamed
  const climbed = told?.resources.filter(({ sid }) => sid === stored.call_sid || sid === told.callSid) ?? []
  const directions = climbed.map(({ direction }) => direction)
  if (stored.kind === 'call_status') directions.push(callback.Direction)
  const odd = directions.find((direction) => directionOf(direction) === null)
  if (odd === undefined) return null
  return `the direction ${JSON.stringify(maskPhone(odd.slice(0, 40)))} is not one that Callbox knows`
}

/** Stores what the callback and Twilio's answer say about the call and its legs. */
async function recordLegs(
  trx: Knex.Transaction,
  stored: StoredCallback,
  callback: Callback,
  told: ToldCall | null,
  callSid: string,
): Promise<void> {
  for (const resource of told?.resources ?? []) {
    const leg = { callSid: resource.sid, parentCallSid: resource.parent_call_sid || null }
    await recordLeg(trx, leg, factsOfCallResource(resource))
    if (resource.sid === callSid) {
      await rememberCall(trx, stored.id, {
        parentCallSid: parentNamed(stored, told),
        from: resource.from,
        to: resource.to,
      })
    }
  }
  if (stored.kind !== 'call_status') return
  const leg = { callSid: stored.call_sid, parentCallSid: parentNamed(stored, told) }
  await recordLeg(trx, leg, factsOfCallback(callback))
}

/** Locks the call that a callback is about, from leg to call, and returns its CallSid. */
async function lockItsCall(trx: Knex.Transaction, ownSid: string, above: string | null): Promise<string> {
  let callSid = ownSid
  let parent = above ?? (await parentOf(trx, callSid))
  for (let generation = 0; parent !== null && generation < maxGenerations; generation++) {
    callSid = parent
    await lockCall(trx, callSid)
    parent = await parentOf(trx, callSid)
  }
  return callSid
}
