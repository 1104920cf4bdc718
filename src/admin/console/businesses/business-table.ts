import { effectiveUrl } from '../../business-records.ts'
import type { Business } from '../../schemas/business.ts'
import { type Html, html } from '../html.ts'
import { count, none, time } from '../values.ts'
import { visibleText } from '../visible-text.ts'

const mostNumbers = 2

/** Businesses, each of which opens by its row. */
export function businessTable(businesses: readonly Business[]): Html {
  if (businesses.length === 0) {
    return html`<p class="card empty">There is no business yet. <a href="/console/businesses/new">Create the first one</a>.</p>`
  }
  return html`<div class="table cards rows"><table>
<thead><tr><th scope="col">Business</th><th scope="col">Phone numbers</th>
<th scope="col">Inbound goes to</th><th scope="col">Outbound goes to</th><th scope="col">Changed</th></tr></thead>
<tbody>${businesses.map(row)}</tbody>
</table></div>`
}

function row(business: Business): Html {
  const { business_id: id, name } = business
  return html`<tr>
<th scope="row" data-label="Business"><div><a class="opens" href="/console/businesses/${id}">${name === '' ? id : html`<bdi>${visibleText(name)}</bdi>`}</a>
${name !== '' && html`<span class="muted name">${id}</span>`}</div></th>
<td data-label="Phone numbers">${numbers(business.phone_numbers)}</td>
<td data-label="Inbound goes to" class="endpoint">${endpoint(effectiveUrl('inbound', business))}</td>
<td data-label="Outbound goes to" class="endpoint">${endpoint(effectiveUrl('outbound', business))}</td>
<td data-label="Changed">${time(business.updated_at)}</td>
</tr>`
}

function numbers(all: readonly string[]): Html {
  if (all.length === 0) return none
  const more = all.length - mostNumbers
  return html`<div>${all.slice(0, mostNumbers).map((number) => html`<div class="mono"><bdi>${number}</bdi></div>`)}${
    more > 0 && html`<div class="muted">and ${count(more)} more</div>`
  }</div>`
}

const endpoint = (url: string | null): Html =>
  url === null ? html`<span class="muted">nowhere: skipped</span>` : html`<bdi class="mono">${url}</bdi>`
