import express from 'express'
import type { Knex } from 'knex'
import type { HintSender } from '../database/hints.ts'
import type { Sealer } from '../database/sealing.ts'
import type { Logger } from '../telemetry/logger.ts'
import { operatorOf } from './authentication.ts'
import { type BusinessRow, findBusiness, listBusinesses, toBusiness } from './business-records.ts'
import { changeBusiness } from './change-business.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods, Problem } from './problems.ts'
import { readBody, readPath, readQuery } from './read-request.ts'
import {
  type Business,
  businessChange,
  businessListQuery,
  businessPath,
  type ChangedBusiness,
} from './schemas/business.ts'

/** `PUT`, `GET /businesses/{id}` and `GET /businesses`. */
export function businessRoutes(knex: Knex, sealer: Sealer, hints: HintSender, log: Logger): express.Router {
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
    const result = await knex.transaction((trx) => changeBusiness(trx, sealer, businessId, change))
    if (result.outcome === 'numbers_taken') {
      const fields = result.places.map((place) => ({
        field: `phone_numbers[${place}]`,
        detail: 'belongs to another business; take it from that one first',
      }))
      throw new Problem(409, `${fields[0]?.field} belongs to another business; nothing was changed`, fields)
    }
    if (result.outcome === 'key_replaced') {
      throw new Problem(503, 'this process runs with a former SECRETS_KEY; start it again with the new one')
    }
    const { created, reopened, moved } = result
    for (const direction of moved) hints.hint(businessId, direction)
    const fields = Object.keys(change)
    log.info(
      {
        event: 'admin.business_changed',
        operator: operatorOf(response),
        business_id: businessId,
        created,
        fields,
        reopened,
      },
      created ? 'a business was created' : 'a business was changed',
    )
    const answer: ChangedBusiness = {
      ...toAnswer(result.business),
      ...(result.madeSecret === null ? {} : { signing_secret: result.madeSecret }),
      skipped_deliveries_that_fit: result.fitting,
    }
    response.status(created ? 201 : 200).json(answer)
  })
  router.all('/businesses/:business_id', onlyMethods('GET, PUT'))
  return router
}
