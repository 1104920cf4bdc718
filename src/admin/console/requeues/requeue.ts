import express from 'express'
import { resumeRequeue, stopRequeue } from '../../operations/requeue-deliveries.ts'
import { readPath } from '../../read-request.ts'
import { findRequeue, requeueNotFound, toRequeue } from '../../requeue-records.ts'
import { type RequeueAnswer, requeuePath } from '../../schemas/requeue.ts'
import type { ConsoleParts } from '../console.ts'
import { html } from '../html.ts'
import { redirectWith, sendPage } from '../page.ts'
import { time } from '../values.ts'
import { operatorOf, visitOf } from '../visit.ts'
import { requeueFilterInWords } from './requeue-filter-words.ts'
import { requeueProgress } from './requeue-progress.ts'

/** `/console/requeues/{id}`: how far it is; stop and resume. */
export function requeuePage(parts: ConsoleParts): express.Router {
  const router = express.Router()

  const read = async (request: express.Request): Promise<RequeueAnswer> => {
    const { id } = readPath(request, requeuePath)
    const row = await findRequeue(parts.knex, id)
    if (row === null) throw requeueNotFound(id)
    return toRequeue(row)
  }

  router.get('/requeues/:id', async (request, response) => {
    const requeue = await read(request)
    sendPage(response, {
      title: 'Requeue',
      heading: html`Requeue <span class="mono id">${requeue.id}</span>`,
      place: 'requeues',
      body: html`${requeueProgress(response, requeue)}
<section class="card"><h2>The order</h2><dl class="facts">
<dt>Of</dt><dd>${requeueFilterInWords(requeue.filter)}</dd>
<dt>Enqueued before</dt><dd>${time(requeue.until)}</dd>
<dt>Ordered</dt><dd>${time(requeue.created_at)}</dd>
<dt>By</dt><dd><bdi>${requeue.operator}</bdi></dd>
</dl></section>`,
    })
  })

  router.get('/requeues/:id/progress', async (request, response) => {
    response.type('html').send(String(requeueProgress(response, await read(request))))
  })

  router.post('/requeues/:id/stop', async (request, response) => {
    const { id } = readPath(request, requeuePath)
    await stopRequeue(parts, operatorOf(response), id)
    await redirectWith(response, `/console/requeues/${id}`, visitOf(response), 'The requeue is stopped.')
  })

  router.post('/requeues/:id/resume', async (request, response) => {
    const { id } = readPath(request, requeuePath)
    await resumeRequeue(parts, operatorOf(response), id)
    await redirectWith(response, `/console/requeues/${id}`, visitOf(response), 'The requeue goes on.')
  })
  return router
}
