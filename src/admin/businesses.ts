import express from 'express'
import { operatorOf } from './authentication.ts'
import { type BusinessRow, findBusiness, listBusinesses, toBusiness } from './business-records.ts'
import { changeBusiness } from './operations/change-business.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods, Problem } from './problems.ts'
import { readBody, readPath, readQuery } from './read-request.ts'
import { type Business, businessChange, businessListQuery, businessPath } from './schemas/business.ts'

/** `PUT`, `GET /businesses/{id}` and `GET /businesses`. */
export function businessRoutes(parts: OperationParts): express.Router {
  const { knex, sealer, log } = parts
  const router = express.Router()
  const toAnswer = (row: BusinessRow): Business => toBusiness(row, sealer, log)

  router.get('/businesses', async (request, response) => {
    const { limit, cursor } = readQuery(request, businessListQuery)
    const rows = await listBusinesses(knex, limit + 1, cursor)
    response.json(pageOf(rows, limit, (row) => encodeCursor(row.place_time, row.business_id), toAnswer))
  })
  router.all('/businesses', onlyMethods('GET'))

  router.get('/businesses/:business_id', async (request, response) => {
    const { business_id: businessId } = readPath(request, businessPath)
    const row = await findBusiness(knex, businessId)
    if (row === null) throw new Problem(404, `there is no business ${businessId}`)
    response.json(toAnswer(row))
  })

  router.put('/businesses/:business_id', async (request, response) => {
    const { business_id: businessId } = readPath(request, businessPath)
    const change = readBody(request, businessChange)
    const { created, business } = await changeBusiness(parts, operatorOf(response), businessId, change)
    response.status(created ? 201 : 200).json(business)
  })
  router.all('/businesses/:business_id', onlyMethods('GET, PUT'))
  return router
}
