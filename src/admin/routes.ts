import express from 'express'
import { operatorOf } from './authentication.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { parkRoute, unparkRoute } from './operations/switch-route.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readOptionalBody, readPath, readQuery } from './read-request.ts'
import { listRoutes, toRoutes } from './route-records.ts'
import { parkOrder, routeListQuery, routePath } from './schemas/route.ts'

/** `GET /routes`, `POST /routes/{business_id}/{direction}/park` and `…/unpark`. */
export function routeRoutes(parts: OperationParts): express.Router {
  const router = express.Router()

  router.get('/routes', async (request, response) => {
    const query = readQuery(request, routeListQuery)
    const rows = await listRoutes(parts.knex, query, query.limit + 1)
    const page = pageOf(
      rows,
      query.limit,
      (row) => encodeCursor(row.business_id, row.direction),
      (row) => row,
    )
    response.json({ ...page, items: await toRoutes(parts.knex, page.items) })
  })
  router.all('/routes', onlyMethods('GET'))

  router.post('/routes/:business_id/:direction/park', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    const { reason } = readOptionalBody(request, parkOrder)
    response.json(await parkRoute(parts, operatorOf(response), { businessId, direction }, reason))
  })
  router.all('/routes/:business_id/:direction/park', onlyMethods('POST'))

  router.post('/routes/:business_id/:direction/unpark', async (request, response) => {
    const { business_id: businessId, direction } = readPath(request, routePath)
    response.json(await unparkRoute(parts, operatorOf(response), { businessId, direction }))
  })
  router.all('/routes/:business_id/:direction/unpark', onlyMethods('POST'))
  return router
}
