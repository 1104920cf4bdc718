import express from 'express'
import { listDeliveries } from '../../../outbox/deliveries.ts'
import { toDelivery } from '../../delivery-records.ts'
import { pageOfListing } from '../../paging.ts'
import { deliveryListQuery } from '../../schemas/delivery.ts'
import type { ConsoleParts } from '../console.ts'
import { noneOf, pager, queryOf, readFilter } from '../filters.ts'
import { type Html, html } from '../html.ts'
import { sendPage } from '../page.ts'
import { problemNotice } from '../problem-pages.ts'
import { deliveriesGiven, deliveryFilterForm } from './delivery-filter.ts'
import { deliveryTable, nameDeliveries } from './delivery-table.ts'
import { searchedDelivery } from './searched-delivery.ts'

const path = '/console/deliveries'

/** `/console/deliveries`: what was sent, what waits, what failed. */
export function deliveryPages({ knex }: Pick<ConsoleParts, 'knex'>): express.Router {
  const router = express.Router()
  router.get('/deliveries', async (request, response) => {
    const filter = readFilter(request, deliveryListQuery)
    const { query, problem, given } = filter
    const searched = await searchedDelivery(knex, given)
    if (searched !== null) return response.redirect(303, searched)

    const { limit, cursor, ...wanted } = query ?? { limit: 0 }
    const listing = query === null ? { rows: [], next: null } : await listDeliveries(knex, wanted, limit, cursor)
    const page = pageOfListing(listing, toDelivery)
    const named = await nameDeliveries(knex, page.items)
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Deliveries',
      place: 'deliveries',
      actions: problem ? html`` : requeueLink(given),
      body: html`${shortcuts(Date.now())}
${deliveryFilterForm(filter, path, 'any')}
${problem ? problemNotice(problem) : deliveryTable(named, noneOf('delivery', page.next_cursor))}
${pager(path, given, page.next_cursor)}`,
    })
  })
  return router
}

const requeueLink = (given: Record<string, string>): Html =>
  html`<a class="button" href="/console/requeues/new${queryOf(deliveriesGiven(given))}">Requeue all that match…</a>`

/** What is looked for at night. */
function shortcuts(now: number): Html {
  const hourAgo = new Date(now - 3_600_000).toISOString()
  const dayAgo = new Date(now - 86_400_000).toISOString()
  const link = (name: string, fields: Record<string, string>): Html =>
    html`<li><a href="${path}${queryOf(fields)}">${name}</a></li>`
  return html`<ul class="shortcuts" aria-label="Often looked for">
${link('Failed in the last hour', { status: 'failed', since: hourAgo })}
${link('Failed in the last day', { status: 'failed', since: dayAgo })}
${link('Skipped in the last day', { status: 'skipped', since: dayAgo })}
${link('Pending', { status: 'pending' })}
</ul>`
}
