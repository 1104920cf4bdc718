import express from 'express'
import type { Knex } from 'knex'
import type { HintSender } from '../database/hints.ts'
import { ensureRoutes } from '../outbox/requeue.ts'
import { parkRoute, unparkRoute } from '../outbox/route-switch.ts'
import type { Logger } from '../telemetry/logger.ts'
import { operatorOf } from './authentication.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods, Problem } from './problems.ts'
import { readOptionalBody, readPath, readQuery } from './read-request.ts'
import { findRoute, listRoutes, toRoute } from './route-records.ts'
import { parkOrder, type RouteAnswer, routeListQuery, routePath } from './schemas/route.ts'

/** `GET /routes`, `POST /routes/{business_id}/{direction}/park` and `…/unpark`. */
export function routeRoutes(knex: Knex, hints: HintSender, log: Logger): express.Router {
  const router = express.Router()

  router.get('/routes', async (request, response) => {
    const query = readQuery(request, routeListQuery)
    const rows = await listRoutes(knex, query, query.limit + 1)
    response.json(pageOf(rows, query.limit, (row) => encodeCursor(row.business_id, row.direction), toRoute))
  })
  router.all('/routes', onlyMethods('GET'))

  router.post('/routes/:business_id/:direction/park', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    const operator = operatorOf(response)
    const { reason = `parked by ${operator}` } = readOptionalBody(request, parkOrder)
    const answer = await switchRoute(businessId, direction, (trx) => parkRoute(trx, businessId, direction, reason))
    log.info(
      { event: 'admin.route_parked', operator, business_id: businessId, direction, changed: answer.changed },
      answer.changed ? 'a route was parked' : 'a route to park was parked already',
    )
    response.json(answer.route)
  })
  router.all('/routes/:business_id/:direction/park', onlyMethods('POST'))

  router.post('/routes/:business_id/:direction/unpark', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    const answer = await switchRoute(businessId, direction, (trx) => unparkRoute(trx, businessId, direction))
    if (answer.changed) hints.hint(businessId, direction)
    const operator = operatorOf(response)
    log.info(
      { event: 'admin.route_unparked', operator, business_id: businessId, direction, changed: answer.changed },
      answer.changed ? 'a route was unparked' : 'a route to unpark was active already',
    )
    response.json(answer.route)
  })
  router.all('/routes/:business_id/:direction/unpark', onlyMethods('POST'))

  async function switchRoute(
    businessId: string,
    direction: RouteAnswer['direction'],
    change: (trx: Knex.Transaction) => Promise<boolean>,
  ): Promise<{ changed: boolean; route: RouteAnswer }> {
    return knex.transaction(async (trx) => {
      const business = await trx('businesses').where({ business_id: businessId }).first('business_id')
      if (business === undefined) throw new Problem(404, `there is no business ${businessId}`)
      await ensureRoutes(trx, businessId, [direction])
      const changed = await change(trx)
      const row = await findRoute(trx, businessId, direction)
      if (row === null) throw new Error('a route is gone within its own change')
      return { changed, route: toRoute(row) }
    })
  }
  return router
}
