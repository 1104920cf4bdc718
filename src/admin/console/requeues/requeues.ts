import express from 'express'
import { startRequeue, tryRequeue } from '../../operations/requeue-deliveries.ts'
import { encodeCursor, pageOf } from '../../paging.ts'
import { listRequeues, toRequeue } from '../../requeue-records.ts'
import { requeueListQuery, requeueOrder } from '../../schemas/requeue.ts'
import type { ConsoleParts } from '../console.ts'
import { deliveryFilterForm } from '../deliveries/delivery-filter.ts'
import { nameDeliveries } from '../deliveries/delivery-table.ts'
import { searchedDelivery } from '../deliveries/searched-delivery.ts'
import { pager, readFilter } from '../filters.ts'
import { select } from '../forms.ts'
import { html } from '../html.ts'
import { redirectWith, sendPage } from '../page.ts'
import { problemNotice } from '../problem-pages.ts'
import { readForm } from '../read-form.ts'
import { operatorOf, visitOf } from '../visit.ts'
import { requeueConfirmation } from './requeue-confirmation.ts'
import { requeueTable } from './requeue-table.ts'

const path = '/console/requeues'
const order = requeueOrder.omit({ dry_run: true })

/** `/console/requeues`: those that run and those before, and how to begin one. */
export function requeuePages(parts: ConsoleParts): express.Router {
  const { knex } = parts
  const router = express.Router()

  router.get('/requeues', async (request, response) => {
    const { query, problem, given } = readFilter(request, requeueListQuery)
    const rows = query === null ? [] : await listRequeues(knex, query, query.limit + 1)
    const page = pageOf(rows, query?.limit ?? 0, (row) => encodeCursor(row.place_time, row.id), toRequeue)
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Requeues',
      place: 'requeues',
      actions: html`<a class="button primary" href="${path}/new">Requeue many…</a>`,
      body: html`<form class="filters" method="get" action="${path}">
${select('state', 'State', requeueListQuery.shape.state.unwrap().options, given['state'])}
<div class="buttons"><button class="primary">Filter</button><a class="button" href="${path}">Clear</a></div>
</form>
${problem ? problemNotice(problem) : requeueTable(page.items)}
${pager(path, given, page.next_cursor)}`,
    })
  })

  router.get('/requeues/new', async (request, response) => {
    const filter = readFilter(request, order)
    const { query, problem, given } = filter
    const searched = await searchedDelivery(knex, given)
    if (searched !== null) return response.redirect(303, searched)

    const dryRun = query && (await tryRequeue(parts, query))
    const examples = await nameDeliveries(knex, dryRun?.examples ?? [])
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Requeue many',
      place: 'requeues',
      body: html`<p class="hint">Deliveries that match are due again, with the same <code>webhook-id</code> and bytes.
The limits of each route pace them; a parked route keeps them until it is unparked.</p>
${deliveryFilterForm(filter, `${path}/new`, 'failed and skipped')}
${problem && problemNotice(problem)}${dryRun && requeueConfirmation(response, given, dryRun, examples)}`,
    })
  })

  router.post('/requeues', async (request, response) => {
    const { id } = await startRequeue(parts, operatorOf(response), readForm(request, order))
    await redirectWith(response, `${path}/${id}`, visitOf(response), 'The requeue has begun.')
  })
  return router
}
