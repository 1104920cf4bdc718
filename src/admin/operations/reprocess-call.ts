import { reprocess } from '../../calls/reprocess.ts'
import { recordAct } from '../audit-records.ts'
import { callNotFound, findCall, toCall } from '../call-records.ts'
import { Problem } from '../problems.ts'
import type { CallAnswer } from '../schemas/call.ts'
import type { OperationParts } from './operation-parts.ts'

/** Queues a failed or completed call again. @throws {Problem} 404, or 409 while it is neither. */
export async function reprocessCall(
  { knex, queue, log }: Pick<OperationParts, 'knex' | 'queue' | 'log'>,
  operator: string,
  callSid: string,
): Promise<CallAnswer> {
  const reprocessed = await knex.transaction(async (trx) => {
    const outcome = await reprocess(trx, queue, callSid)
    if (outcome.result === 'queued') {
      await recordAct(trx, { operator, action: 'call.reprocessed', businessId: outcome.businessId, callSid })
    }
    return outcome
  })
  if (reprocessed.result === 'not_found') throw callNotFound(callSid)
  if (reprocessed.result === 'not_ended') {
    throw new Problem(
      409,
      `call ${callSid} is ${reprocessed.state}; only a failed or completed call can be reprocessed`,
    )
  }
  log.info({ event: 'admin.call_reprocessed', operator, call_sid: callSid }, 'a call was queued again')
  const row = await findCall(knex, callSid)
  if (row === null) throw callNotFound(callSid)
  return toCall(row)
}
