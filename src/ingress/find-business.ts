import type { Knex } from 'knex'
import { type CallFacts, type Direction, factsOfCallResource } from '../calls/call-facts.ts'
import { maskPhone } from '../telemetry/logger.ts'
import type { CallAnswer } from './call-lookup.ts'

export interface CallToPlace {
  callSid: string
  /** What the callback itself says of this call; `null` for a recording callback and for one of a leg. */
  facts: CallFacts | null
  /** Twilio's word for the direction, to name it where it is not known. */
  twilioDirection: string
  /** Of the signed URL. */
  urlBusinessId: string | null | 'invalid'
  /** Nothing says whether this CallSid is a call or a leg of one: recording callbacks name no parent. */
  mayBeLeg: boolean
  /** Twilio's answer about the call; `null`: not asked yet. */
  answer: CallAnswer | null
  /** Whether to do without Twilio's answer where the URL names the business. */
  patienceIsOver: boolean
}

export type Place =
  | { businessId: string; remark: string | null }
  | { unmatched: string }
  | { ask: true }
  | { notNow: string }

/**
 * Whose call it is, in the order of the contract: the known call's business, the one that the URL names, the one that
 * has the number, by the callback's own words or else by Twilio's Call resource.
 */
export async function findBusiness(trx: Knex.Transaction, call: CallToPlace): Promise<Place> {
  if (call.facts && call.facts.direction === null) return { unmatched: unknownDirection(call.twilioDirection) }
  const known = await trx('callbox.calls').where({ call_sid: call.callSid }).orderBy('business_id').first('business_id')
  if (known) return { businessId: known.business_id, remark: null }

  const { answer } = call
  const told = answer?.found === true ? factsOfCallResource(answer.resource) : null
  if (answer?.found === true && told?.direction === null) {
    return { unmatched: unknownDirection(answer.resource.direction ?? '') }
  }

  const named = await businessOfUrl(trx, call.urlBusinessId)
  if (named.businessId !== null) {
    if (call.mayBeLeg && answer === null) return { ask: true }
    if (answer?.found === null && !call.patienceIsOver) return { notNow: answer.why }
    return { businessId: named.businessId, remark: null }
  }

  const facts = told ?? call.facts
  const number = facts && numberOf(facts)
  if (!facts || !number) {
    if (answer === null) return { ask: true }
    if (answer.found === null) return { notNow: answer.why }
    if (answer.found === false) return { unmatched: joined(named.remark, 'Twilio knows no such call') }
  }
  const owner = number && (await trx('callbox.phone_numbers').where({ phone_number: number }).first('business_id'))
  if (owner) return { businessId: owner.business_id, remark: named.remark }
  const which = facts?.direction === 'outbound' ? 'calling' : 'called'
  return { unmatched: joined(named.remark, `no business has the ${which} number`) }
}

/** The business's own number: the called one of an inbound call, the calling one of an outbound call. */
function numberOf(facts: CallFacts): string {
  const own: Record<Direction, string> = { inbound: facts.to, outbound: facts.from }
  return facts.direction === null ? '' : own[facts.direction]
}

async function businessOfUrl(
  trx: Knex.Transaction,
  urlBusinessId: string | null | 'invalid',
): Promise<{ businessId: string | null; remark: string | null }> {
  if (urlBusinessId === null) return { businessId: null, remark: null }
  if (urlBusinessId === 'invalid') {
    return { businessId: null, remark: 'the business_id of the URL is ignored: it is not one positive whole number' }
  }
  const row = await trx('callbox.businesses').where({ business_id: urlBusinessId }).first('business_id')
  if (row) return { businessId: urlBusinessId, remark: null }
  return { businessId: null, remark: `the business_id of the URL is ignored: there is no business ${urlBusinessId}` }
}

const unknownDirection = (given: string): string =>
  `the direction ${JSON.stringify(maskPhone(given.slice(0, 40)))} is none that Callbox knows`

const joined = (remark: string | null, reason: string): string => (remark === null ? reason : `${remark}; ${reason}`)
