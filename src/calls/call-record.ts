import type { Knex } from 'knex'
import { startOf } from './call-facts.ts'
import { type Family, readFamily } from './call-legs.ts'
import { numbersOf, type Reading, readCall } from './call-parties.ts'
import type { CallKey } from './recordings.ts'

/** The businesses of the numbers that a call and its legs have. */
export async function ownersOf(trx: Knex.Transaction, family: Family): Promise<Map<string, string>> {
  const rows = await trx('callbox.phone_numbers')
    .whereIn('phone_number', numbersOf(family))
    .select<{ phone_number: string; business_id: string }[]>('phone_number', 'business_id')
  return new Map(rows.map((row) => [row.phone_number, row.business_id]))
}

/** {@link readCall} of the stored legs. @param named the business of the call, if another source names it. */
export async function readStoredCall(
  trx: Knex.Transaction,
  callSid: string,
  named: string | null,
): Promise<{ family: Family; reading: Reading }> {
  const family = await readFamily(trx, callSid)
  return { family, reading: readCall(family, await ownersOf(trx, family), named) }
}

/**
 * Writes what its legs say of a call into its record. The parties of a completed call stay as in its event.
 * Hold `lockCall`.
 *
 * @returns the reading, and whether this is the first time that the direction is known.
 */
export async function updateCall(
  trx: Knex.Transaction,
  call: CallKey,
): Promise<{ reading: Reading; directionIsNew: boolean }> {
  const key = { business_id: call.businessId, call_sid: call.callSid }
  const known = await trx('callbox.calls').where(key).forUpdate().first('direction', 'completed_at')
  if (known === undefined) throw new Error(`there is no call ${call.callSid} of business ${call.businessId}`)
  const { family, reading } = await readStoredCall(trx, call.callSid, call.businessId)
  const columns: Record<string, unknown> = {}
  if (reading.is === 'known' && known.completed_at === null) {
    const { direction, from, to } = reading.parties
    Object.assign(columns, { direction, from_number: from, to_number: to })
  }
  if (family.root) {
    const { status, endedAt, durationSec } = family.root
    Object.assign(columns, { twilio_status: status, started_at: startOf(family.root) })
    Object.assign(columns, { ended_at: endedAt, duration_sec: durationSec })
  }
  if (Object.keys(columns).length > 0) await trx('callbox.calls').where(key).update(columns)
  return { reading, directionIsNew: known.direction === null && columns['direction'] !== undefined }
}

/**
 * Releases a call that was assigned by its number before a later leg contradicted that: its callbacks are matched again
 * from the start. Not one that is completed, or that a signed URL gave to the business. Hold `lockCall`.
 *
 * @returns whether it was released.
 */
export async function releaseIfWrong(trx: Knex.Transaction, call: CallKey): Promise<boolean> {
  const key = { business_id: call.businessId, call_sid: call.callSid }
  const { family, reading } = await readStoredCall(trx, call.callSid, null)
  const isOthers = reading.is === 'known' && reading.byLegs && reading.businessId !== call.businessId
  if (!isOthers && reading.is !== 'disputed') return false
  const callSids = [call.callSid, ...family.legs.map((leg) => leg.callSid)]
  const callbacks = trx('callbox.twilio_callbacks').whereIn('call_sid', callSids)
  if (await callbacks.clone().where({ url_business_id: call.businessId }).first('id')) return false
  if ((await trx('callbox.calls').where(key).whereNull('completed_at').delete()) === 0) return false
  await trx('callbox.call_steps').where(key).delete()
  await trx('callbox.call_recordings').where(key).delete()
  await callbacks.where({ state: 'matched' }).update({
    state: 'new',
    match_at: trx.raw('clock_timestamp()'),
    tries: 0,
    reason: null,
    business_id: null,
    matched_at: null,
  })
  return true
}
