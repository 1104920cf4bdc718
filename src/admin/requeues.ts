import express from 'express'
import { operatorOf } from './authentication.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { resumeRequeue, startRequeue, stopRequeue, tryRequeue } from './operations/requeue-deliveries.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readBody, readPath, readQuery } from './read-request.ts'
import { findRequeue, listRequeues, requeueNotFound, toRequeue } from './requeue-records.ts'
import { requeueListQuery, requeueOrder, requeuePath } from './schemas/requeue.ts'

/** `POST`, `GET /requeues`, `GET /requeues/{id}`, `POST /requeues/{id}/stop` and `…/resume`. */
export function requeueRoutes(parts: OperationParts): express.Router {
  const { knex } = parts
  const router = express.Router()

  router.get('/requeues', async (request, response) => {
    const query = readQuery(request, requeueListQuery)
    const rows = await listRequeues(knex, query, query.limit + 1)
    response.json(pageOf(rows, query.limit, (row) => encodeCursor(row.place_time, row.id), toRequeue))
  })

  router.post('/requeues', async (request, response) => {
    const { dry_run: isDry, ...filter } = readBody(request, requeueOrder)
    if (isDry) response.json(await tryRequeue(parts, filter))
    else response.status(202).json(await startRequeue(parts, operatorOf(response), filter))
  })
  router.all('/requeues', onlyMethods('GET, POST'))

  router.get('/requeues/:id', async (request, response) => {
    const { id } = readPath(request, requeuePath)
    const row = await findRequeue(knex, id)
    if (row === null) throw requeueNotFound(id)
    response.json(toRequeue(row))
  })
  router.all('/requeues/:id', onlyMethods('GET'))

  router.post('/requeues/:id/stop', async (request, response) => {
    const { id } = readPath(request, requeuePath)
    response.json(await stopRequeue(parts, operatorOf(response), id))
  })
  router.all('/requeues/:id/stop', onlyMethods('POST'))

  router.post('/requeues/:id/resume', async (request, response) => {
    const { id } = readPath(request, requeuePath)
    response.json(await resumeRequeue(parts, operatorOf(response), id))
  })
  router.all('/requeues/:id/resume', onlyMethods('POST'))
  return router
}
