import type { Knex } from 'knex'
import { applyCallFacts, factsOfCallResource } from '../calls/call-facts.ts'
import { lockBusinessesForMatching, lockCall } from '../calls/locks.ts'
import type { RecordingSender } from '../calls/recording-queue.ts'
import type { Config } from '../config.ts'
import type { CallAnswer } from './call-lookup.ts'
import { businessIdOfUrl, factsOfCallback, parseCallback } from './callback.ts'
import {
  knownParent,
  rememberCall,
  type StoredCallback,
  settleMatched,
  settleUnmatched,
  wakeOthers,
} from './callback-store.ts'
import { findBusiness } from './find-business.ts'
import { applyRecording, type RecordingOutcome } from './recording.ts'

export interface MatchContext {
  settings: Config['twilio']
  queue: RecordingSender
}

export type MatchResult =
  | { outcome: 'matched'; businessId: string; callSid: string; recording: RecordingOutcome | null }
  | { outcome: 'unmatched'; reason: string }
  | { outcome: 'ask'; callSid: string }
  | { outcome: 'not now'; why: string }

/** Legs of legs; the bound only keeps senseless parents (a circle) from holding us. */
const mostGenerations = 5

/** For how many questions to Twilio without an answer a recording whose URL names its business waits: about 7 s. */
const patience = 4

/**
 * Finds the call and the business of a stored callback and does what it says, in one transaction.
 *
 * A callback of a leg belongs to the leg's call: of the callback itself only a recording counts there. `ask` and
 * `not now` leave the row as it was.
 *
 * Locks are taken in one order: the leg's CallSid, its call's, businesses, and only then a row is changed. So matchers
 * that change rows of each other's legs cannot wait for each other. The leg's own CallSid is locked because its
 * recording must not be called unmatched by one who has not seen the leg's parent yet, while another, who has, looks
 * for what waited for it.
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
  if (stored.call_sid === '') return await leaveUnmatched(trx, stored, 'it names no CallSid')
  const callback = parseCallback(stored.body)
  const told = answer?.found === true ? answer : null
  const toldParent = told && told.callSid !== stored.call_sid ? told.callSid : null
  const parentCallSid = toldParent ?? stored.parent_call_sid
  const callSid = await lockItsCall(trx, stored.call_sid, parentCallSid)
  await lockBusinessesForMatching(trx)
  if (told) {
    const { from, to } = factsOfCallResource(told.resource)
    await rememberCall(trx, stored.id, { parentCallSid, from, to })
  }

  const ofTheCallItself = stored.kind === 'call_status' && callSid === stored.call_sid
  const facts = ofTheCallItself ? factsOfCallback(callback) : null
  const place = await findBusiness(trx, {
    callSid,
    facts,
    twilioDirection: callback.Direction,
    urlBusinessId: businessIdOfUrl(stored.query),
    mayBeLeg: stored.kind === 'recording_status' && callSid === stored.call_sid,
    answer,
    patienceIsOver: stored.tries >= patience,
  })
  if ('ask' in place) return { outcome: 'ask', callSid }
  if ('notNow' in place) return { outcome: 'not now', why: place.notNow }
  if ('unmatched' in place) return await leaveUnmatched(trx, stored, place.unmatched)

  const call = { businessId: place.businessId, callSid }
  await trx('callbox.calls').insert({ business_id: call.businessId, call_sid: callSid }).onConflict().ignore()
  if (facts) await applyCallFacts(trx, call, facts)
  if (told?.callSid === callSid) await applyCallFacts(trx, call, factsOfCallResource(told.resource))
  const recording = stored.kind === 'recording_status' ? await applyRecording(trx, call, callback, context) : null
  await settleMatched(trx, stored.id, call.businessId, place.remark)
  await wakeOthers(trx, stored, callSid)
  return { outcome: 'matched', ...call, recording }
}

async function leaveUnmatched(trx: Knex.Transaction, stored: StoredCallback, reason: string): Promise<MatchResult> {
  await settleUnmatched(trx, stored.id, reason)
  return { outcome: 'unmatched', reason }
}

/** Locks the call that a callback is about, from leg to call, and returns its CallSid. */
async function lockItsCall(trx: Knex.Transaction, ownSid: string, namedParent: string | null): Promise<string> {
  let callSid = ownSid
  let parent = namedParent ?? (await knownParent(trx, callSid))
  for (let generation = 0; parent !== null && generation < mostGenerations; generation++) {
    callSid = parent
    await lockCall(trx, callSid)
    parent = await knownParent(trx, callSid)
  }
  return callSid
}
