import type { Knex } from 'knex'
import { businessOf } from '../../../outbox/deliveries.ts'
import { deliveryPath } from '../../schemas/delivery.ts'

/**
 * The page of the delivery whose webhook-id was typed in for a CallSid: a receiver knows a delivery by that, and whoever
 * asks for it has that alone. `null`: it is not the id of any.
 */
export async function searchedDelivery(knex: Knex, given: Record<string, string>): Promise<string | null> {
  const searched = deliveryPath.safeParse({ id: given['call_sid'] })
  if (!searched.success || (await businessOf(knex, searched.data.id)) === null) return null
  return `/console/deliveries/${searched.data.id}`
}
