import type { Knex } from 'knex'
import { factsOfCallResource } from '../calls/call-facts.ts'
import type { Family } from '../calls/call-legs.ts'
import { type Parties, readCall } from '../calls/call-parties.ts'
import { ownersOf } from '../calls/call-record.ts'
import type { ToldCall } from './call-lookup.ts'

interface Candidate {
  callSid: string
  businessId: string | null
  parties: Parties | null
  startedAt: Date | null
}

/**
 * Chooses the call that a conference's recording belongs to: a call from a phone first, then one to a phone, then any
 * other; among equals the one that began first. `null`: the calls belong to different businesses.
 *
 * @param named the business that the signed URL names, if any: only its calls are considered.
 */
export async function chooseCall(
  trx: Knex.Transaction,
  calls: readonly ToldCall[],
  named: string | null,
): Promise<string | null> {
  const candidates: Candidate[] = []
  for (const call of calls) candidates.push(await candidateOf(trx, call))
  const businesses = new Set(candidates.map(({ businessId }) => businessId).filter((businessId) => businessId !== null))
  const business = named !== null && businesses.has(named) ? named : [...businesses][0]
  if (businesses.size > 1 && business !== named) return null
  const ours = candidates.filter(({ businessId }) => business === undefined || businessId === business)
  return ours.toSorted(byPreference)[0]?.callSid ?? null
}

async function candidateOf(trx: Knex.Transaction, { callSid, resources }: ToldCall): Promise<Candidate> {
  const root = resources.find(({ sid }) => sid === callSid)
  const known = await trx('callbox.calls').where({ call_sid: callSid }).orderBy('business_id').first('business_id')
  const leg = root && { callSid, parentCallSid: null, legsKnown: true, ...factsOfCallResource(root) }
  const family: Family = { root: leg ?? null, legs: [] }
  const reading = readCall(family, await ownersOf(trx, family), null)
  const parties = reading.is === 'known' ? reading.parties : null
  const byNumber = reading.is === 'known' ? reading.businessId : null
  return { callSid, businessId: known?.business_id ?? byNumber, parties, startedAt: root?.start_time ?? null }
}

function byPreference(a: Candidate, b: Candidate): number {
  const start = ({ startedAt }: Candidate): number => startedAt?.getTime() ?? Number.POSITIVE_INFINITY
  const byStart = start(a) === start(b) ? 0 : start(a) - start(b)
  return rank(a) - rank(b) || byStart || (a.callSid < b.callSid ? -1 : 1)
}

function rank({ parties }: Candidate): number {
  if (parties?.direction === 'inbound' && parties.from !== '') return 0
  return parties?.direction === 'outbound' && parties.to !== '' ? 1 : 2
}
