import { businessOf, findDelivery } from '../../outbox/deliveries.ts'
import { requeueDelivery as makeDue } from '../../outbox/requeue.ts'
import { recordAct } from '../audit-records.ts'
import { deliveryNotFound, toDelivery, waitsFor } from '../delivery-records.ts'
import { Problem } from '../problems.ts'
import type { RequeuedDelivery } from '../schemas/delivery.ts'
import type { OperationParts } from './operation-parts.ts'

/** Tries a delivery again now. @throws {Problem} 404, or 409 when retention has taken its payload. */
export async function requeueDelivery(
  { knex, hints, log }: Pick<OperationParts, 'knex' | 'hints' | 'log'>,
  operator: string,
  id: string,
): Promise<RequeuedDelivery> {
  const requeued = await knex.transaction(async (trx) => {
    const businessId = await businessOf(trx, id)
    const outcome = businessId === null ? null : await makeDue(trx, businessId, id)
    if (outcome?.outcome === 'due' && outcome.changed) {
      const { direction } = outcome
      await recordAct(trx, { operator, action: 'delivery.requeued', businessId, direction, deliveryId: id })
    }
    return outcome
  })
  if (requeued === null) throw deliveryNotFound(id)
  if (requeued.outcome === 'payload_gone') {
    throw new Problem(409, 'retention has taken the payload of this delivery; there is nothing left to send')
  }
  if (requeued.changed) hints.hint(requeued.businessId, requeued.direction)
  log.info(
    { event: 'admin.delivery_requeued', operator, delivery_id: id, changed: requeued.changed },
    requeued.changed ? 'a delivery was requeued' : 'a delivery to requeue was due already',
  )
  const row = await findDelivery(knex, id)
  if (row === null) throw deliveryNotFound(id)
  return { ...toDelivery(row), waits_for: await waitsFor(knex, row) }
}
