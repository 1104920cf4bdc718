import type { Knex } from 'knex'
import { ensureRoutes } from '../../outbox/requeue.ts'
import { parkRoute as park, unparkRoute as unpark } from '../../outbox/route-switch.ts'
import type { Direction } from '../../outbox/routing.ts'
import { maskPhone } from '../../telemetry/logger.ts'
import { recordAct } from '../audit-records.ts'
import { Problem } from '../problems.ts'
import { findRoute, toRoutes } from '../route-records.ts'
import type { RouteAnswer } from '../schemas/route.ts'
import type { OperationParts } from './operation-parts.ts'

interface RouteKey {
  businessId: string
  direction: Direction
}

/** Stops sending on a route. @throws {Problem} 404: there is no such business. */
export async function parkRoute(
  { knex, log }: Pick<OperationParts, 'knex' | 'log'>,
  operator: string,
  { businessId, direction }: RouteKey,
  reason = `parked by ${operator}`,
): Promise<RouteAnswer> {
  const { changed, route } = await switchRoute(knex, { businessId, direction }, async (trx) => {
    const parked = await park(trx, businessId, direction, reason)
    const detail = { reason: maskPhone(reason) }
    if (parked) await recordAct(trx, { operator, action: 'route.parked', businessId, direction, detail })
    return parked
  })
  log.info(
    { event: 'admin.route_parked', operator, business_id: businessId, direction, changed },
    changed ? 'a route was parked' : 'a route to park was parked already',
  )
  return route
}

/** Sends again on a route that is parked or failing. @throws {Problem} 404: there is no such business. */
export async function unparkRoute(
  { knex, hints, log }: Pick<OperationParts, 'knex' | 'hints' | 'log'>,
  operator: string,
  { businessId, direction }: RouteKey,
): Promise<RouteAnswer> {
  const { changed, route } = await switchRoute(knex, { businessId, direction }, async (trx) => {
    const unparked = await unpark(trx, businessId, direction)
    if (unparked) await recordAct(trx, { operator, action: 'route.unparked', businessId, direction })
    return unparked
  })
  if (changed) hints.hint(businessId, direction)
  log.info(
    { event: 'admin.route_unparked', operator, business_id: businessId, direction, changed },
    changed ? 'a route was unparked' : 'a route to unpark was active already',
  )
  return route
}

async function switchRoute(
  knex: Knex,
  { businessId, direction }: RouteKey,
  change: (trx: Knex.Transaction) => Promise<boolean>,
): Promise<{ changed: boolean; route: RouteAnswer }> {
  const { changed, row } = await knex.transaction(async (trx) => {
    const business = await trx('callbox.businesses').where({ business_id: businessId }).first('business_id')
    if (business === undefined) throw new Problem(404, `there is no business ${businessId}`)
    await ensureRoutes(trx, businessId, [direction])
    const changed = await change(trx)
    const row = await findRoute(trx, businessId, direction)
    if (row === null) throw new Error('a route is gone within its own change')
    return { changed, row }
  })
  const [route] = await toRoutes(knex, [row])
  if (route === undefined) throw new Error('a route was described without an answer')
  return { changed, route }
}
