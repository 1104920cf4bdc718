import express from 'express'
import { listCalls, toListedCall } from '../../call-records.ts'
import { pageOfListing } from '../../paging.ts'
import { callListQuery, callPath } from '../../schemas/call.ts'
import type { ConsoleParts } from '../console.ts'
import { errorOf, type Filter, noneOf, pager, readFilter, timeField } from '../filters.ts'
import { select, textField } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { sendPage } from '../page.ts'
import { problemNotice } from '../problem-pages.ts'
import { callTable } from './call-table.ts'

const path = '/console/calls'
const filterOfPage = callListQuery.extend(callPath.partial().shape)

/** `/console/calls`: what came in, and how far each call is. */
export function callPages({ knex }: Pick<ConsoleParts, 'knex'>): express.Router {
  const router = express.Router()
  router.get('/calls', async (request, response) => {
    const filter = readFilter(request, filterOfPage)
    const { query, problem, given } = filter
    if (query?.call_sid !== undefined) return response.redirect(303, `${path}/${query.call_sid}`)
    const listing = query === null ? { rows: [], next: null } : await listCalls(knex, query)
    const page = pageOfListing(listing, toListedCall)
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Calls',
      place: 'calls',
      body: html`${filterForm(filter)}
${problem ? problemNotice(problem) : callTable(page.items, noneOf('call', page.next_cursor))}
${pager(path, given, page.next_cursor)}`,
    })
  })
  return router
}

function filterForm(filter: Filter<unknown>): Html {
  const { given, problem } = filter
  const { state, direction } = filterOfPage.shape
  const text = (name: string, label: string, placeholder: string, type: 'text' | 'search'): Html =>
    textField({ name, label, value: given[name], error: errorOf(problem, name), placeholder, type })
  return html`<form class="filters" method="get" action="${path}">
<div class="search">${text('call_sid', 'Open a call by its CallSid', 'CA…', 'search')}</div>
${select('state', 'State', state.unwrap().options, given['state'])}
${text('business_id', 'Business', '10', 'text')}
${select('direction', 'Direction', direction.unwrap().options, given['direction'])}
${timeField('since', 'Since', filter)}
${timeField('until', 'Until', filter)}
<div class="buttons"><button class="primary">Filter</button><a class="button" href="${path}">Clear</a></div>
</form>`
}
