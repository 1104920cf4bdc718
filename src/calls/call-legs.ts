import type { Knex } from 'knex'
import { type CallFacts, mergeFacts } from './call-facts.ts'

/** One leg of a call, or the call itself, merged from everything that Twilio said about it. */
export interface Leg extends CallFacts {
  callSid: string
  parentCallSid: string | null
  /** Whether {@link Family.legs} of this call are all that it has: Twilio listed them after its end. */
  legsKnown: boolean
}

/** A call and its legs, as far as they are known. */
export interface Family {
  /** The leg without a parent; `null`: not known yet. */
  root: Leg | null
  /** Its legs and their legs, ordered by SID. */
  legs: Leg[]
}

interface LegRow {
  call_sid: string
  parent_call_sid: string | null
  direction: CallFacts['direction']
  from_address: string
  to_address: string
  twilio_status: string
  ended_at: Date | null
  duration_sec: number | null
  legs_known: boolean
}

/** The depth of legs of legs; the limit guards against circular parents. */
export const maxGenerations = 5

const toLeg = (row: LegRow): Leg => ({
  callSid: row.call_sid,
  parentCallSid: row.parent_call_sid,
  direction: row.direction,
  from: row.from_address,
  to: row.to_address,
  status: row.twilio_status,
  endedAt: row.ended_at,
  durationSec: row.duration_sec,
  legsKnown: row.legs_known,
})

/** Merges facts into what is known of a leg; see {@link mergeFacts}. Hold `lockCall` of its call. */
export async function recordLeg(
  trx: Knex.Transaction,
  leg: { callSid: string; parentCallSid: string | null },
  facts: CallFacts,
): Promise<void> {
  const row = await trx<LegRow>('callbox.call_legs').where({ call_sid: leg.callSid }).forUpdate().first()
  const merged = row ? mergeFacts(facts, toLeg(row)) : facts
  await trx('callbox.call_legs')
    .insert({
      call_sid: leg.callSid,
      parent_call_sid: row?.parent_call_sid ?? leg.parentCallSid,
      direction: merged.direction,
      from_address: merged.from,
      to_address: merged.to,
      twilio_status: merged.status,
      ended_at: merged.endedAt,
      duration_sec: merged.durationSec,
    })
    .onConflict('call_sid')
    .merge()
}

/** Records that Twilio listed all legs of a call after its end. */
export async function noteLegsKnown(trx: Knex.Transaction, callSid: string): Promise<void> {
  await trx('callbox.call_legs').where({ call_sid: callSid }).update({ legs_known: true })
}

/** The call that a leg belongs to, if any leg says so. */
export async function parentOf(trx: Knex.Transaction, callSid: string): Promise<string | null> {
  const row = await trx<LegRow>('callbox.call_legs').where({ call_sid: callSid }).first('parent_call_sid')
  return row?.parent_call_sid ?? null
}

/** Everything known of the call `callSid` and its legs. Hold its `lockCall`. */
export async function readFamily(trx: Knex.Transaction, callSid: string): Promise<Family> {
  const root = await trx<LegRow>('callbox.call_legs').where({ call_sid: callSid }).first()
  const legs: Leg[] = []
  let parents = [callSid]
  for (let generation = 0; parents.length > 0 && generation < maxGenerations; generation++) {
    const rows = await trx<LegRow>('callbox.call_legs').whereIn('parent_call_sid', parents).orderBy('call_sid')
    const found = rows.map(toLeg).filter((leg) => legs.every(({ callSid }) => callSid !== leg.callSid))
    legs.push(...found)
    parents = found.map((leg) => leg.callSid)
  }
  return { root: root ? toLeg(root) : null, legs }
}
