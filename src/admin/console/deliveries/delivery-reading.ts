import type { Knex } from 'knex'
import { type AttemptRow, findDelivery, findDeliveryWithAttempts } from '../../../outbox/deliveries.ts'
import { findBusiness, toBusiness } from '../../business-records.ts'
import { deliveryNotFound, toDelivery } from '../../delivery-records.ts'
import { findRoute, toRouteState } from '../../route-records.ts'
import type { Business } from '../../schemas/business.ts'
import type { DeliveryAnswer } from '../../schemas/delivery.ts'
import type { RouteState } from '../../schemas/route.ts'
import type { ConsoleParts } from '../console.ts'

/** A delivery with all that its page tells. */
export interface WholeDelivery {
  delivery: DeliveryAnswer
  /** As it is sent; `null` once retention has taken it. */
  payload: string | null
  /** The last 1000, oldest first. */
  attempts: AttemptRow[]
  /** `null`: there is none yet. */
  route: RouteState | null
  /** `null`: it is not known. */
  business: Business | null
}

/** @throws {Problem} 404 */
export async function readWholeDelivery(
  { knex, sealer, log }: Pick<ConsoleParts, 'knex' | 'sealer' | 'log'>,
  id: string,
): Promise<WholeDelivery> {
  const found = await findDeliveryWithAttempts(knex, id)
  if (found === null) throw deliveryNotFound(id)
  const { row, attempts } = found
  const [route, business] = await Promise.all([
    findRoute(knex, row.business_id, row.direction),
    findBusiness(knex, row.business_id),
  ])
  return {
    delivery: toDelivery(row),
    payload: row.payload,
    attempts,
    route: route && toRouteState(route),
    business: business && toBusiness(business, sealer, log),
  }
}

/** The bytes that are sent. @throws {Problem} 404 */
export async function readPayload(knex: Knex, id: string): Promise<Buffer | null> {
  const row = await findDelivery(knex, id)
  if (row === null) throw deliveryNotFound(id)
  return row.payload === null ? null : Buffer.from(row.payload)
}
