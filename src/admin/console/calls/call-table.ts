import type { ListedCall } from '../../schemas/call.ts'
import { type Html, html } from '../html.ts'
import { status } from '../status.ts'
import { duration, none, time } from '../values.ts'
import { visibleText } from '../visible-text.ts'

/** Calls, each of which opens by its row. @param whenNone said in place of an empty table. */
export function callTable(calls: readonly ListedCall[], whenNone: string): Html {
  if (calls.length === 0) return html`<p class="card empty">${whenNone}</p>`
  return html`<div class="table cards rows"><table>
<thead><tr><th scope="col">Call</th><th scope="col">CallSid</th><th scope="col">Business</th><th scope="col">Customer</th>
<th scope="col">About</th><th scope="col" class="number">Length</th><th scope="col">Created</th></tr></thead>
<tbody>${calls.map(row)}</tbody>
</table></div>`
}

function row(call: ListedCall): Html {
  const { call_sid: sid, business_id: business, state, direction } = call
  const remark = state === 'processing' ? (call.steps.at(-1)?.step ?? null) : call.error
  return html`<tr>
<th scope="row" data-label="Call"><div><a class="opens" href="/console/calls/${encodeURIComponent(sid)}">${status(state)}<span class="visually-hidden"> call ${sid}</span></a>
${remark !== null && html`<div class="reason" dir="auto">${visibleText(remark)}</div>`}</div></th>
<td data-label="CallSid"><bdi class="mono sid">${visibleText(sid)}</bdi></td>
<td data-label="Business"><div><a href="/console/businesses/${business}">${business}</a><div class="muted">${direction ?? 'direction not known'}</div></div></td>
<td data-label="Customer"><div><bdi>${visibleText(call.phone)}</bdi>${call.customer_name !== '' && html`<div class="muted"><bdi>${visibleText(call.customer_name)}</bdi></div>`}</div></td>
<td data-label="About">${about(call)}</td>
<td data-label="Length" class="number">${call.duration_sec === null ? none : duration(call.duration_sec * 1_000)}</td>
<td data-label="Created">${time(call.created_at)}</td>
</tr>`
}

function about({ city, service_category: service }: ListedCall): Html {
  if (city === '' && service === '') return none
  return html`<div class="about"><bdi>${visibleText(service)}</bdi><div class="muted"><bdi>${visibleText(city)}</bdi></div></div>`
}
