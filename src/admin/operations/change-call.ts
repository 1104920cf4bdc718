import { recordAct } from '../audit-records.ts'
import { changeCallDetails } from '../call-details.ts'
import { Problem } from '../problems.ts'
import type { CallDetails, CallDetailsChange } from '../schemas/call.ts'
import type { OperationParts } from './operation-parts.ts'

/** Keeps what the platform knows of a call. @throws {Problem} 409 once the call is completed. */
export async function changeCall(
  { knex, log }: Pick<OperationParts, 'knex' | 'log'>,
  operator: string,
  callSid: string,
  change: CallDetailsChange,
): Promise<CallDetails> {
  const result = await knex.transaction(async (trx) => {
    const changed = await changeCallDetails(trx, callSid, change)
    if (changed && changed.fields.length > 0) {
      const { businessId, fields } = changed
      await recordAct(trx, { operator, action: 'call.changed', businessId, callSid, detail: { fields } })
    }
    return changed
  })
  if (result === null) {
    throw new Problem(409, `call ${callSid} is completed and its event is made; its details stay as they are`)
  }
  log.info(
    { event: 'admin.call_changed', operator, call_sid: callSid, fields: Object.keys(change) },
    'details of a call were changed',
  )
  return result.details
}
