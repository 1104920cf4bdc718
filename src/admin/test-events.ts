import express from 'express'
import { operatorOf } from './authentication.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { sendTestEvent } from './operations/send-test-event.ts'
import { onlyMethods } from './problems.ts'
import { readBody, readPath } from './read-request.ts'
import { businessPath } from './schemas/business.ts'
import { testEventOrder } from './schemas/test-event.ts'

/** `POST /businesses/{id}/test-events`. */
export function testEventRoutes(parts: OperationParts): express.Router {
  const router = express.Router()
  router.post('/businesses/:business_id/test-events', async (request, response) => {
    const { business_id: businessId } = readPath(request, businessPath)
    const { direction } = readBody(request, testEventOrder)
    response.status(202).json(await sendTestEvent(parts, operatorOf(response), businessId, direction))
  })
  router.all('/businesses/:business_id/test-events', onlyMethods('POST'))
  return router
}
