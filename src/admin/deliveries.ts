import express from 'express'
import { findDeliveryWithAttempts, listDeliveries } from '../outbox/deliveries.ts'
import { operatorOf } from './authentication.ts'
import { deliveryNotFound, toAttempt, toDelivery, waitsFor } from './delivery-records.ts'
import { discardDelivery } from './operations/discard-delivery.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { requeueDelivery } from './operations/requeue-delivery.ts'
import { pageOfListing } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readOptionalBody, readPath, readQuery } from './read-request.ts'
import { deliveryListQuery, deliveryPath, discardOrder } from './schemas/delivery.ts'

/** `GET /deliveries`, `GET /deliveries/{id}`, `POST /deliveries/{id}/requeue` and `…/discard`. */
export function deliveryRoutes(parts: OperationParts): express.Router {
  const { knex } = parts
  const router = express.Router()

  router.get('/deliveries', async (request, response) => {
    const { limit, cursor, ...filter } = readQuery(request, deliveryListQuery)
    response.json(pageOfListing(await listDeliveries(knex, filter, limit, cursor), toDelivery))
  })
  router.all('/deliveries', onlyMethods('GET'))

  router.get('/deliveries/:id', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const found = await findDeliveryWithAttempts(knex, id)
    if (found === null) throw deliveryNotFound(id)
    const { row } = found
    const attempts = found.attempts.map(toAttempt)
    // The payload goes in as the text that is sent: parsing it would change its numbers and the order of its keys.
    const delivery = JSON.stringify({ ...toDelivery(row), waits_for: await waitsFor(knex, row) }).slice(0, -1)
    const text = `${delivery},"payload":${row.payload ?? 'null'},"attempts":${JSON.stringify(attempts)}}`
    response.type('application/json').send(text)
  })
  router.all('/deliveries/:id', onlyMethods('GET'))

  router.post('/deliveries/:id/requeue', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    response.json(await requeueDelivery(parts, operatorOf(response), id))
  })
  router.all('/deliveries/:id/requeue', onlyMethods('POST'))

  router.post('/deliveries/:id/discard', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const { reason } = readOptionalBody(request, discardOrder)
    response.json(await discardDelivery(parts, operatorOf(response), id, reason))
  })
  router.all('/deliveries/:id/discard', onlyMethods('POST'))
  return router
}
