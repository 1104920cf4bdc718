import express from 'express'
import { listAudit, toAuditEntry } from '../audit-records.ts'
import { encodeCursor, pageOf } from '../paging.ts'
import { type AuditEntry, auditListQuery } from '../schemas/audit.ts'
import type { ConsoleParts } from './console.ts'
import { errorOf, type Filter, pager, readFilter, timeField } from './filters.ts'
import { select, textField } from './forms.ts'
import { type Html, html } from './html.ts'
import { sendPage } from './page.ts'
import { problemNotice } from './problem-pages.ts'
import { none, time } from './values.ts'

const path = '/console/audit'
const actions = auditListQuery.shape.action.unwrap().options

/** `/console/audit`: who changed what, and when. */
export function auditPages({ knex }: Pick<ConsoleParts, 'knex'>): express.Router {
  const router = express.Router()
  router.get('/audit', async (request, response) => {
    const filter = readFilter(request, auditListQuery)
    const { query, problem } = filter
    const rows = query === null ? [] : await listAudit(knex, query, query.limit + 1)
    const page = pageOf(rows, query?.limit ?? 0, (row) => encodeCursor(row.place_time, row.id), toAuditEntry)
    if (problem) response.status(problem.status)
    sendPage(response, {
      title: 'Audit',
      place: 'audit',
      body: html`${filterForm(filter)}${problem ? problemNotice(problem) : list(page.items)}
${pager(path, filter.given, page.next_cursor)}`,
    })
  })
  return router
}

function filterForm(filter: Filter<unknown>): Html {
  const { given, problem } = filter
  const text = (name: string, label: string, placeholder: string): Html =>
    textField({ name, label, value: given[name], error: errorOf(problem, name), placeholder })
  return html`<form class="filters" method="get" action="${path}">
${text('operator', 'Operator', 'name of a token')}
${select('action', 'Action', actions, given['action'])}
${text('business_id', 'Business', '10')}
${timeField('since', 'Since', filter)}
${timeField('until', 'Until', filter)}
<div class="buttons"><button class="primary">Filter</button><a class="button" href="${path}">Clear</a></div>
</form>`
}

function list(entries: readonly AuditEntry[]): Html {
  if (entries.length === 0) return html`<p class="card empty">No change by an operator matches.</p>`
  return html`<div class="table cards"><table>
<thead><tr><th scope="col">When</th><th scope="col">Operator</th><th scope="col">Did</th><th scope="col">To</th><th scope="col">Detail</th></tr></thead>
<tbody>${entries.map(row)}</tbody>
</table></div>`
}

function row(entry: AuditEntry): Html {
  return html`<tr>
<td data-label="When">${time(entry.at)}</td>
<th scope="row" data-label="Operator"><bdi>${entry.operator}</bdi></th>
<td data-label="Did">${inWords(entry.action)}</td>
<td data-label="To">${target(entry)}</td>
<td data-label="Detail">${detail(entry.detail)}</td>
</tr>`
}

/** `route.parked` as `parked a route`. */
function inWords(action: string): string {
  const [kind = '', verb = ''] = action.split('.')
  return `${verb} a ${kind.replaceAll('_', ' ')}`
}

/** Whatever was changed, the most particular first. */
function target(entry: AuditEntry): Html {
  const { business_id: business, direction, call_sid: call, delivery_id: delivery, requeue_id: requeue } = entry
  const parts = [
    requeue && html`<a class="mono" href="/console/requeues/${requeue}">${requeue}</a>`,
    delivery && html`<a class="mono" href="/console/deliveries/${delivery}">${delivery}</a>`,
    call && html`<a class="mono" href="/console/calls/${encodeURIComponent(call)}">${call}</a>`,
    business &&
      html`<a href="/console/businesses/${business}">business ${business}</a>${direction && `, ${direction}`}`,
  ].filter((part) => part !== null && part !== '')
  return parts.length === 0 ? none : html`<ul class="plain">${parts.map((part) => html`<li>${part}</li>`)}</ul>`
}

function detail(values: Record<string, unknown>): Html {
  const entries = Object.entries(values)
  if (entries.length === 0) return none
  return html`<ul class="plain">${entries.map(
    ([name, value]) =>
      html`<li><span class="muted">${name.replaceAll('_', ' ')}:</span> <bdi>${plain(value)}</bdi></li>`,
  )}</ul>`
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.map(plain).join(', ')
  if (value === null) return 'none'
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
