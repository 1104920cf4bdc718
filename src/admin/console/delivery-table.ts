import type { DeliveryAnswer } from '../schemas/delivery.ts'
import { callLink } from './call-link.ts'
import { type Html, html } from './html.ts'
import { status } from './status.ts'
import { count, time } from './values.ts'
import { visibleText } from './visible-text.ts'

/** Deliveries, each of which opens by its row. @param whenNone said in place of an empty table. */
export function deliveryTable(deliveries: readonly DeliveryAnswer[], whenNone: string): Html {
  if (deliveries.length === 0) return html`<p class="card empty">${whenNone}</p>`
  return html`<div class="table cards rows"><table>
<thead><tr><th scope="col">Delivery</th><th scope="col">Business</th><th scope="col">Event</th><th scope="col">Call</th>
<th scope="col" class="number">Attempts</th><th scope="col">Created</th><th scope="col">Due or finished</th></tr></thead>
<tbody>${deliveries.map(row)}</tbody>
</table></div>`
}

function row(delivery: DeliveryAnswer): Html {
  const { id, business_id: business, call_sid: call, status: state, reason } = delivery
  return html`<tr>
<th scope="row" data-label="Delivery"><div>
<a class="opens" href="/console/deliveries/${id}" title="${id}">${status(state)}<span class="visually-hidden"> delivery ${id}</span></a>
${reason !== null && html`<div class="reason" dir="auto">${visibleText(reason)}</div>`}</div></th>
<td data-label="Business"><a href="/console/businesses/${business}">${business}</a></td>
<td data-label="Event"><div>${delivery.event_type}<div class="muted">${delivery.direction}</div></div></td>
<td data-label="Call">${callLink(call)}</td>
<td class="number" data-label="Attempts">${count(delivery.attempt_count)}</td>
<td data-label="Created">${time(delivery.created_at)}</td>
<td data-label="${state === 'pending' ? 'Due' : 'Finished'}">${dueOrFinished(delivery)}</td>
</tr>`
}

function dueOrFinished({ status: state, due_at: due, finished_at: finished }: DeliveryAnswer): Html {
  if (state !== 'pending') return time(finished)
  return html`<div><span class="muted due">due</span>${time(due)}</div>`
}
