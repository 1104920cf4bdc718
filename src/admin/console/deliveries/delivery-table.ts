import type { Knex } from 'knex'
import type { DeliveryAnswer } from '../../schemas/delivery.ts'
import { businessNames } from '../business-names.ts'
import { callLink } from '../call-link.ts'
import { type Html, html } from '../html.ts'
import { status } from '../status.ts'
import { count, time } from '../values.ts'
import { visibleText } from '../visible-text.ts'

/** Deliveries with the names of their businesses. */
export interface NamedDeliveries {
  items: readonly DeliveryAnswer[]
  nameOf: (businessId: string) => string
}

export async function nameDeliveries(knex: Knex, items: readonly DeliveryAnswer[]): Promise<NamedDeliveries> {
  const ids = items.map(({ business_id: id }) => id)
  return { items, nameOf: await businessNames(knex, ids) }
}

/** Deliveries, each of which opens by its row. @param whenNone said in place of an empty table. */
export function deliveryTable({ items, nameOf }: NamedDeliveries, whenNone: string): Html {
  if (items.length === 0) return html`<p class="card empty">${whenNone}</p>`
  return html`<div class="table cards rows"><table>
<thead><tr><th scope="col">Delivery</th><th scope="col">Business</th><th scope="col">Event</th><th scope="col">Call</th>
<th scope="col" class="number">Attempts</th><th scope="col">Created</th><th scope="col">Due or finished</th></tr></thead>
<tbody>${items.map((one) => row(one, nameOf(one.business_id)))}</tbody>
</table></div>`
}

function row(delivery: DeliveryAnswer, name: string): Html {
  const { id, business_id: business, call_sid: call, status: state, reason } = delivery
  const isPending = state === 'pending'
  return html`<tr>
<th scope="row" data-label="Delivery"><div>
<a class="opens" href="/console/deliveries/${id}" title="${id}">${status(state)}<span class="visually-hidden"> delivery ${id}</span></a>
${reason !== null && html`<div class="reason" dir="auto">${visibleText(reason)}</div>`}</div></th>
<td data-label="Business"><div><a href="/console/businesses/${business}">${business}</a>
${name !== '' && html`<span class="muted name"><bdi>${visibleText(name)}</bdi></span>`}</div></td>
<td data-label="Event"><div>${delivery.event_type}<div class="muted">${delivery.direction}</div></div></td>
<td data-label="Call">${callLink(call)}</td>
<td class="number" data-label="Attempts">${count(delivery.attempt_count)}</td>
<td data-label="Created">${time(delivery.created_at)}</td>
<td data-label="${isPending ? 'Due' : 'Finished'}">${time(isPending ? delivery.due_at : delivery.finished_at)}</td>
</tr>`
}
