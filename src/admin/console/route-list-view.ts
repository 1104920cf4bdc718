import { errorOf, type Filter } from './filters.ts'
import { select, textField } from './forms.ts'
import { type Html, html } from './html.ts'
import { p95Of, pathOf, routesPath, type ShownRoute, successOf, waitingOf } from './route-view.ts'
import { status } from './status.ts'
import { ago, time } from './values.ts'

export function routeFilter({ given, problem }: Filter<unknown>): Html {
  const business = { name: 'business_id', label: 'Business', value: given['business_id'], placeholder: '10' }
  return html`<form class="filters" method="get" action="${routesPath}">
${select('state', 'State', ['active', 'failing', 'parked'], given['state'])}
${textField({ ...business, error: errorOf(problem, 'business_id') })}
${select('direction', 'Direction', ['inbound', 'outbound'], given['direction'])}
<div class="buttons"><button class="primary">Filter</button><a class="button" href="${routesPath}">Clear</a></div>
</form>`
}

export function routeTable(routes: readonly ShownRoute[]): Html {
  if (routes.length === 0)
    return html`<p class="card empty">No route matches. A business has two, one for each direction.</p>`
  return html`<div class="table cards"><table>
<thead><tr><th scope="col">Route</th><th scope="col">State</th><th scope="col">Endpoint</th>
<th scope="col">Waiting</th><th scope="col" class="number">Success</th><th scope="col" class="number">p95</th></tr></thead>
<tbody>${routes.map(row)}</tbody>
</table></div>
<p class="hint">Success and p95 (what 95 % of the answers did not exceed) are of the attempts for the 200 newest deliveries
of each route, as far as those are among the 50,000 newest of all.</p>`
}

function row(route: ShownRoute): Html {
  return html`<tr>
<th scope="row" data-label="Route"><span><a href="${pathOf(route)}">${route.business_id} ${route.direction}</a>
${route.name !== '' && html`<span class="muted name"><bdi>${route.name}</bdi></span>`}</span></th>
<td data-label="State"><div>${status(route.state)}${trouble(route)}</div></td>
<td data-label="Endpoint" class="endpoint"><span class="mono">${route.url ?? html`<span class="muted">none: skipped</span>`}</span></td>
<td data-label="Waiting"><div><span class="number">${waitingOf(route)}</span>${oldest(route)}</div></td>
<td data-label="Success" class="number">${successOf(route)}</td>
<td data-label="p95" class="number">${p95Of(route)}</td>
</tr>`
}

const oldest = ({ oldest_due_at: at }: ShownRoute): Html =>
  at === null ? html`` : html`<p class="muted due">due <time datetime="${at}" title="${at}">${ago(at)}</time></p>`

function trouble({ state, reason, since }: ShownRoute): Html {
  if (state === 'active') return html``
  return html`<p class="why"><bdi>${reason ?? 'no reason is known'}</bdi></p>${since !== null && time(since)}`
}
