import type { Knex } from 'knex'
import { lockCall } from '../calls/locks.ts'
import type { CallDetails, CallDetailsChange } from './schemas/call.ts'

const empty = { lead_id: '', customer_name: '', agent_name: '', metadata: {} }
const textFields = ['lead_id', 'customer_name', 'agent_name'] as const

export interface ChangedCallDetails {
  details: CallDetails
  /** `null`: Twilio has not told us of the call yet, or not whose it is. */
  businessId: string | null
  /** Fields of the change that are another now. */
  fields: (keyof CallDetailsChange)[]
}

/**
 * Keeps what the platform knows of a call, whether Twilio has told us of the call or not. `null`: the call is completed
 * and its payload made, so nothing is changed. The call's lock keeps its completion from coming in between.
 */
export async function changeCallDetails(
  trx: Knex.Transaction,
  callSid: string,
  change: CallDetailsChange,
): Promise<ChangedCallDetails | null> {
  await lockCall(trx, callSid)
  const calls = await trx('callbox.calls')
    .where({ call_sid: callSid })
    .orderBy('created_at', 'desc')
    .select<{ business_id: string; state: string; completed_at: Date | null }[]>('business_id', 'state', 'completed_at')
  // A completed call that is processed again keeps its event.
  if (calls.some((call) => call.state === 'completed' || call.completed_at !== null)) return null

  const columns: Record<string, string> = {}
  for (const field of textFields) {
    if (change[field] !== undefined) columns[field] = change[field] ?? empty[field]
  }
  if (change.metadata !== undefined) columns['metadata'] = JSON.stringify(change.metadata ?? empty.metadata)
  const before = await trx('callbox.call_details')
    .where({ call_sid: callSid })
    .first<Record<string, string> | undefined>(...textFields, trx.raw('metadata::text as metadata'))
  const [details] = await trx('callbox.call_details')
    .insert({ call_sid: callSid, ...columns })
    .onConflict('call_sid')
    .merge({ ...columns, updated_at: trx.raw('clock_timestamp()') })
    .returning<CallDetails[]>(['call_sid', ...textFields, 'metadata'])
  if (details === undefined) throw new Error('the details of a call were not stored')
  const fields = ([...textFields, 'metadata'] as const).filter((field) => {
    const was = before?.[field] ?? (field === 'metadata' ? '{}' : '')
    return columns[field] !== undefined && columns[field] !== was
  })
  return { details, businessId: calls[0]?.business_id ?? null, fields }
}
