import express from 'express'
import { listCallbacks, toCallback } from '../callback-records.ts'
import { encodeCursor, pageOf } from '../paging.ts'
import { type CallbackAnswer, callbackListQuery } from '../schemas/callback.ts'
import { callLink } from './call-link.ts'
import type { ConsoleParts } from './console.ts'
import { pager, readFilter } from './filters.ts'
import { type Html, html } from './html.ts'
import { sendPage } from './page.ts'
import { problemNotice } from './problem-pages.ts'
import { status } from './status.ts'
import { none, time } from './values.ts'
import { visibleText } from './visible-text.ts'

const path = '/console/callbacks'

/** `/console/callbacks`: what Twilio told us, and first of all what belongs to no business yet. */
export function callbackPages({ knex }: Pick<ConsoleParts, 'knex'>): express.Router {
  const router = express.Router()
  router.get('/callbacks', async (request, response) => {
    const { query, problem, given } = readFilter(request, callbackListQuery)
    // Without the field, what somebody has to look at; an empty one is the choice of all.
    const matched = request.query['matched'] === undefined ? false : query?.matched
    const rows = query === null ? [] : await listCallbacks(knex, matched, query.limit + 1, query.cursor)
    const page = pageOf(rows, query?.limit ?? 0, (row) => encodeCursor(row.id), toCallback)
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Callbacks',
      place: 'callbacks',
      body: html`${filterForm(matched)}
${problem ? problemNotice(problem) : table(page.items, matched)}
${pager(path, given, page.next_cursor)}`,
    })
  })
  return router
}

function filterForm(matched: boolean | undefined): Html {
  const option = (value: string, label: string, isChosen: boolean): Html =>
    html`<option value="${value}"${isChosen ? html` selected` : ''}>${label}</option>`
  return html`<form class="filters" method="get" action="${path}">
<label class="field"><span>Callbacks</span><select name="matched">
${option('false', 'of no business yet', matched === false)}
${option('true', 'matched', matched === true)}
${option('', 'all', matched === undefined)}
</select></label>
<div class="buttons"><button class="primary">Filter</button></div>
</form>`
}

function table(callbacks: readonly CallbackAnswer[], matched: boolean | undefined): Html {
  if (callbacks.length === 0) {
    const text = matched === false ? 'Every callback has found its business.' : 'There is no callback.'
    return html`<p class="card empty">${text}</p>`
  }
  return html`${matched === false && html`<p class="hint">Kept as they came. Each is matched again when a business gets a number that fits.</p>`}
<div class="table cards"><table>
<thead><tr><th scope="col">Callback</th><th scope="col">Why</th><th scope="col">Call</th><th scope="col">From and to</th>
<th scope="col">Business</th><th scope="col">Received</th></tr></thead>
<tbody>${callbacks.map(row)}</tbody>
</table></div>`
}

function row(one: CallbackAnswer): Html {
  const { call_sid: call, parent_call_sid: parent, business_id: business } = one
  // Before it has its business, there is no call.
  const sid = (text: string): Html =>
    business === null ? html`<bdi class="mono sid">${visibleText(text)}</bdi>` : callLink(text)
  const number = (text: string): Html => html`<bdi class="mono">${visibleText(text)}</bdi>`
  return html`<tr>
<th scope="row" data-label="Callback"><div>${status(one.state)}<div class="muted name nowrap">${one.kind.replaceAll('_', ' ')}</div></div></th>
<td data-label="Why"><span class="told" dir="auto">${one.reason === null ? none : visibleText(one.reason)}</span></td>
<td data-label="Call"><div>${sid(call)}${parent !== null && html`<div class="muted">leg of ${sid(parent)}</div>`}</div></td>
<td data-label="From and to"><div class="nowrap">${one.from === '' ? none : number(one.from)}<div class="muted">to ${one.to === '' ? none : number(one.to)}</div></div></td>
<td data-label="Business">${business === null ? none : html`<a href="/console/businesses/${business}">${business}</a>`}</td>
<td data-label="Received">${time(one.received_at)}</td>
</tr>`
}
