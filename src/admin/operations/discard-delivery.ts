import { businessOf, findDelivery } from '../../outbox/deliveries.ts'
import { discardDelivery as giveUp } from '../../outbox/discard.ts'
import { recordAct } from '../audit-records.ts'
import { deliveryNotFound, toDelivery, waitsFor } from '../delivery-records.ts'
import { Problem } from '../problems.ts'
import type { RequeuedDelivery } from '../schemas/delivery.ts'
import type { OperationParts } from './operation-parts.ts'

/** Gives a delivery up. @throws {Problem} 404, or 409 when it was delivered. */
export async function discardDelivery(
  { knex, hints, log }: Pick<OperationParts, 'knex' | 'hints' | 'log'>,
  operator: string,
  id: string,
  reason: string | undefined,
): Promise<RequeuedDelivery> {
  const discarded = await knex.transaction(async (trx) => {
    const businessId = await businessOf(trx, id)
    if (businessId === null) return null
    const outcome = await giveUp(trx, businessId, id, operator, reason ?? `discarded by ${operator}`)
    if (outcome.outcome === 'discarded' && outcome.changed) {
      const { direction } = outcome
      await recordAct(trx, { operator, action: 'delivery.discarded', businessId, direction, deliveryId: id })
    }
    return { ...outcome, businessId }
  })
  if (discarded === null) throw deliveryNotFound(id)
  if (discarded.outcome === 'delivered') throw new Problem(409, 'this delivery was accepted by its receiver')
  // An event of the same call may have waited for this one.
  if (discarded.changed) hints.hint(discarded.businessId, discarded.direction)
  log.info(
    { event: 'admin.delivery_discarded', operator, delivery_id: id, changed: discarded.changed },
    discarded.changed ? 'a delivery was discarded' : 'the delivery had already been discarded',
  )
  const row = await findDelivery(knex, id)
  if (row === null) throw deliveryNotFound(id)
  return { ...toDelivery(row), waits_for: await waitsFor(knex, row) }
}
