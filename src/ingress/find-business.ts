import type { Knex } from 'knex'
import { isFinalStatus } from '../calls/call-facts.ts'
import { noteLegsKnown } from '../calls/call-legs.ts'
import { readStoredCall, releaseIfWrong } from '../calls/call-record.ts'
import type { CallAnswer, ToldCall } from './call-lookup.ts'
import { businessIdOfUrl } from './callback.ts'

export interface CallToPlace {
  callSid: string
  /** Of the signed URL. */
  urlBusinessId: string | null
  /** Nothing says whether this CallSid is a call or a leg of one: recording callbacks name no parent. */
  mayBeLeg: boolean
  /** Twilio's answer about the call; `null`: not asked yet. */
  answer: CallAnswer | null
  /** The call in it. */
  told: ToldCall | null
  /** Whether to decide without Twilio's answer where something else names the business. */
  patienceIsOver: boolean
}

export type Place =
  | { businessId: string }
  | { unmatched: string }
  | { ask: true; withLegs: boolean }
  | { notNow: string }

const placedByAgent = 'a phone system placed the call, and its leg to the customer is not known yet'
const noSuchCall = 'Twilio knows no such call'

/**
 * Finds the business of a call, in this order: that of the known call, the one that the URL names, the one whose number
 * the call's legs show. Twilio's facts about the legs are already stored. A call that was assigned only by its number is
 * released when a later leg shows that it belongs to another business.
 */
export async function findBusiness(trx: Knex.Transaction, call: CallToPlace): Promise<Place> {
  const known = await trx('callbox.calls')
    .where({ call_sid: call.callSid })
    .orderBy('business_id')
    .first<{ business_id: string } | undefined>('business_id')
  const knownCall = known && { businessId: known.business_id, callSid: call.callSid }
  if (knownCall && !(await releaseIfWrong(trx, knownCall))) return { businessId: knownCall.businessId }

  const { answer, urlBusinessId, patienceIsOver } = call
  if (urlBusinessId !== null) {
    if (call.mayBeLeg && answer === null) return { ask: true, withLegs: false }
    if (answer?.found === null && !patienceIsOver) return { notNow: answer.why }
    return { businessId: urlBusinessId }
  }
  return await byNumbers(trx, call)
}

async function byNumbers(trx: Knex.Transaction, call: CallToPlace): Promise<Place> {
  const { answer, told, patienceIsOver } = call
  let { family, reading } = await readStoredCall(trx, call.callSid, null)
  const misnamed = await misnamedBusiness(trx, [call.callSid, ...family.legs.map(({ callSid }) => callSid)])
  if (misnamed !== null) return { unmatched: `another callback of this call is unmatched: ${misnamed}` }
  if (reading.is === 'waiting') {
    if (answer === null) return { ask: true, withLegs: true }
    if (answer.found === null) return { notNow: answer.why }
    const isOver = family.root !== null && isFinalStatus(family.root.status)
    if (!isOver || !(told?.legsListed || patienceIsOver)) return { notNow: placedByAgent }
    await noteLegsKnown(trx, call.callSid)
    ;({ family, reading } = await readStoredCall(trx, call.callSid, null))
  }
  if (reading.is === 'unknown') {
    if (answer === null) return { ask: true, withLegs: false }
    return answer.found === null ? { notNow: answer.why } : { unmatched: noSuchCall }
  }
  if (reading.is === 'known' && reading.businessId !== null) return { businessId: reading.businessId }
  if (reading.is !== 'known')
    return { unmatched: 'its legs have numbers of two businesses, and nothing decides between them' }
  const which = reading.parties.direction === 'outbound' ? 'calling' : 'called'
  return { unmatched: `no business has the ${which} number` }
}

/** Why the `business_id` of a signed URL names no business; `null`: it names one, or is absent. */
export async function whyMisnamed(
  trx: Knex.Transaction,
  urlBusinessId: string | null | 'invalid',
): Promise<string | null> {
  if (urlBusinessId === null) return null
  if (urlBusinessId === 'invalid') return 'the business_id of its URL is not one positive whole number'
  const business = await trx('callbox.businesses').where({ business_id: urlBusinessId }).first('business_id')
  return business ? null : `the business_id of its URL: there is no business ${urlBusinessId}`
}

/** Applies to all callbacks of a call: its number must not override what a URL says. */
async function misnamedBusiness(trx: Knex.Transaction, callSids: readonly string[]): Promise<string | null> {
  const queries = await trx('callbox.twilio_callbacks')
    .whereIn('call_sid', [...callSids])
    .where('query', 'like', '%business_id%')
    .distinct()
    .pluck<string[]>('query')
  for (const query of queries) {
    const why = await whyMisnamed(trx, businessIdOfUrl(query))
    if (why !== null) return why
  }
  return null
}
