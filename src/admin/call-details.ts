import type { Knex } from 'knex'
import { lockCall } from '../calls/locks.ts'
import type { CallDetails, CallDetailsChange } from './schemas/call.ts'

const empty = { lead_id: '', customer_name: '', agent_name: '', metadata: {} }

/**
 * Keeps what the platform knows of a call, whether Twilio has told us of the call or not. `null`: the call is completed
 * and its payload made, so nothing is changed. The call's lock keeps its completion from coming in between.
 */
export async function changeCallDetails(
  trx: Knex.Transaction,
  callSid: string,
  change: CallDetailsChange,
): Promise<CallDetails | null> {
  await lockCall(trx, callSid)
  const completed = await trx('calls').where({ call_sid: callSid, state: 'completed' }).first('call_sid')
  if (completed !== undefined) return null

  const columns: Record<string, unknown> = {}
  for (const field of ['lead_id', 'customer_name', 'agent_name'] as const) {
    if (change[field] !== undefined) columns[field] = change[field] ?? empty[field]
  }
  if (change.metadata !== undefined) columns['metadata'] = JSON.stringify(change.metadata ?? empty.metadata)
  const [row] = await trx('call_details')
    .insert({ call_sid: callSid, ...columns })
    .onConflict('call_sid')
    .merge({ ...columns, updated_at: trx.raw('clock_timestamp()') })
    .returning<CallDetails[]>(['call_sid', 'lead_id', 'customer_name', 'agent_name', 'metadata'])
  if (row === undefined) throw new Error('the details of a call were not stored')
  return row
}
