import express from 'express'
import type { Knex } from 'knex'
import type { HintSender } from '../database/hints.ts'
import {
  type AttemptRow,
  businessOf,
  type DeliveryRow,
  findDelivery,
  listAttempts,
  listDeliveries,
} from '../outbox/deliveries.ts'
import { requeueDelivery } from '../outbox/requeue.ts'
import type { Logger } from '../telemetry/logger.ts'
import { operatorOf } from './authentication.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods, Problem } from './problems.ts'
import { readPath, readQuery } from './read-request.ts'
import {
  type AttemptAnswer,
  type DeliveryAnswer,
  deliveryListQuery,
  deliveryPath,
  type RequeuedDelivery,
} from './schemas/delivery.ts'

/** `GET /deliveries`, `GET /deliveries/{id}` and `POST /deliveries/{id}/requeue`. */
export function deliveryRoutes(knex: Knex, hints: HintSender, log: Logger): express.Router {
  const router = express.Router()

  router.get('/deliveries', async (request, response) => {
    const { limit, cursor, ...filter } = readQuery(request, deliveryListQuery)
    const rows = await listDeliveries(knex, filter, limit + 1, cursor)
    response.json(pageOf(rows, limit, (row) => encodeCursor(row.place_time, row.id), toDelivery))
  })
  router.all('/deliveries', onlyMethods('GET'))

  router.get('/deliveries/:id', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const row = await findDelivery(knex, id)
    if (row === null) throw notFound(id)
    const attempts = (await listAttempts(knex, row.business_id, id)).map(toAttempt)
    // The payload goes in as the text that is sent: parsing it would change its numbers and the order of its keys.
    const delivery = JSON.stringify(toDelivery(row)).slice(0, -1)
    const text = `${delivery},"payload":${row.payload ?? 'null'},"attempts":${JSON.stringify(attempts)}}`
    response.type('application/json').send(text)
  })
  router.all('/deliveries/:id', onlyMethods('GET'))

  router.post('/deliveries/:id/requeue', async (request, response) => {
    const { id } = readPath(request, deliveryPath)
    const requeued = await knex.transaction(async (trx) => {
      const businessId = await businessOf(trx, id)
      return businessId === null ? null : await requeueDelivery(trx, businessId, id)
    })
    if (requeued === null) throw notFound(id)
    if (requeued.outcome === 'payload_gone') {
      throw new Problem(409, 'retention has taken the payload of this delivery; there is nothing left to send')
    }
    if (requeued.changed) hints.hint(requeued.businessId, requeued.direction)
    log.info(
      { event: 'admin.delivery_requeued', operator: operatorOf(response), delivery_id: id, changed: requeued.changed },
      requeued.changed ? 'a delivery was requeued' : 'a delivery to requeue was due already',
    )
    const row = await findDelivery(knex, id)
    if (row === null) throw notFound(id)
    const answer: RequeuedDelivery = { ...toDelivery(row), waits_for: await waitsFor(knex, row) }
    response.json(answer)
  })
  router.all('/deliveries/:id/requeue', onlyMethods('POST'))
  return router
}

async function waitsFor(knex: Knex, { business_id, direction }: DeliveryRow): Promise<string | null> {
  const parked = await knex('routes')
    .where({ business_id, direction, state: 'parked' })
    .first<{ state_reason: string | null } | undefined>('state_reason')
  return parked ? `its route to be unparked: ${parked.state_reason ?? 'no reason is known'}` : null
}

const notFound = (id: string): Problem => new Problem(404, `there is no delivery ${id}`)

function toDelivery(row: DeliveryRow): DeliveryAnswer {
  return {
    id: row.id,
    business_id: row.business_id,
    call_sid: row.call_sid,
    event_type: row.event_type,
    direction: row.direction,
    status: row.status,
    reason: row.reason,
    attempt_count: row.attempt_count,
    created_at: row.created_at.toISOString(),
    due_at: row.due_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  }
}

function toAttempt({ response_excerpt: excerpt, started_at: startedAt, ...row }: AttemptRow): AttemptAnswer {
  return {
    id: row.id,
    number: row.number,
    started_at: startedAt.toISOString(),
    duration_ms: row.duration_ms,
    url: row.url,
    result: row.result,
    status_code: row.status_code,
    error: row.error,
    response_excerpt: excerpt?.toString('utf8') ?? null,
  }
}
