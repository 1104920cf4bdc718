import type { Response } from 'express'
import type { RouteAnswer } from '../schemas/route.ts'
import { orderForm } from './forms.ts'
import { type Html, html } from './html.ts'
import type { Page } from './page.ts'
import { status } from './status.ts'
import { count, duration, none, time } from './values.ts'

export const routesPath = '/console/routes'

/** A route and the name of its business. */
export interface ShownRoute extends RouteAnswer {
  name: string
}

type RouteKey = Pick<RouteAnswer, 'business_id' | 'direction'>

export const pathOf = ({ business_id: businessId, direction }: RouteKey): string =>
  `${routesPath}/${businessId}/${direction}`

const waitingCountedTo = 10_000

export const waitingOf = (route: Pick<RouteAnswer, 'waiting'>): string => count(route.waiting, waitingCountedTo)

/** 99.95 % is not 100 %. */
export function successOf({ success_rate: rate }: RouteAnswer): Html | string {
  return rate === null ? none : `${Math.floor(rate * 1_000) / 10} %`
}

export const p95Of = ({ p95_ms: ms }: RouteAnswer): Html | string => (ms === null ? none : duration(ms))

/** One route: what is known of it, and its switch. */
export function routePage(response: Response, route: ShownRoute): Page {
  const { business_id: businessId, direction, name } = route
  const deliveries = (state: string): string =>
    `/console/deliveries?business_id=${businessId}&direction=${direction}&status=${state}`
  return {
    title: `Route ${businessId} ${direction}`,
    heading: html`Route <a href="/console/businesses/${businessId}">${businessId}</a> ${direction}`,
    place: 'routes',
    body: html`<section class="card" aria-labelledby="state"><h2 id="state">Now</h2><dl class="facts">
<dt>Business</dt><dd><a href="/console/businesses/${businessId}">${businessId}</a> <bdi>${name}</bdi></dd>
<dt>State</dt><dd>${status(route.state)}</dd>
${route.reason !== null && html`<dt>Why</dt><dd><bdi>${route.reason}</bdi></dd>`}
${route.since !== null && html`<dt>Since</dt><dd>${time(route.since)}</dd>`}
${route.failing_since !== null && html`<dt>Failing since</dt><dd>${time(route.failing_since)}</dd>`}
${route.probe_at !== null && html`<dt>Next probe</dt><dd>${time(route.probe_at)}</dd>`}
<dt>Endpoint</dt><dd class="mono">${route.url ?? html`none: its deliveries are skipped`}</dd>
<dt>Waiting</dt><dd>${waitingOf(route)}</dd>
<dt>Due the longest</dt><dd>${time(route.oldest_due_at)}</dd>
<dt>Success</dt><dd>${successOf(route)} ${sample(route)}</dd>
<dt>p95 of the answers</dt><dd>${p95Of(route)}</dd>
</dl></section>
${switchCard(response, route)}
<section class="row" aria-label="More about it">
<a class="button" href="${deliveries('pending')}">Waiting deliveries</a>
<a class="button" href="${deliveries('failed')}">Failed deliveries</a>
<a class="button" href="/console/audit?business_id=${businessId}">Changes by operators</a>
</section>`,
  }
}

const sample = ({ recent_attempts: attempts }: RouteAnswer): Html =>
  attempts === 0
    ? html`<span class="muted">no attempt for any of the newest deliveries</span>`
    : html`<span class="muted">of the last ${count(attempts)} ${attempts === 1 ? 'attempt' : 'attempts'}</span>`

function switchCard(response: Response, route: ShownRoute): Html {
  const unpark =
    route.state === 'active'
      ? null
      : html`<section class="card stack" aria-labelledby="unpark"><h2 id="unpark">${route.state === 'parked' ? 'Unpark' : 'Close the breaker'}</h2>
<p>${unparkMeans(route)}</p>
${orderForm(response, `${pathOf(route)}/unpark`, html`<button class="primary">${route.state === 'parked' ? 'Unpark the route' : 'Send again now'}</button>`)}
</section>`
  const park =
    route.state === 'parked'
      ? null
      : html`<section class="card stack" aria-labelledby="park"><h2 id="park">Park</h2>
<p>Nothing is sent on a parked route. What waits stays pending and loses no attempt, until an operator unparks it or its URL changes.</p>
${orderForm(
  response,
  `${pathOf(route)}/park`,
  html`<label class="field"><span>Reason</span><input name="reason" required maxlength="200" dir="auto" autocomplete="off"></label>
<div><button class="danger">Park the route</button></div>`,
  'stack narrow',
)}</section>`
  return html`${unpark}${park}`
}

function unparkMeans(route: ShownRoute): string {
  if (route.url === null) return 'It has no URL: what waits on it would be skipped. Set the URL of the business first.'
  const waiting = route.waiting === 0 ? 'Nothing waits on it now.' : `${waitingOf(route)} wait on it.`
  return `${waiting} They are not sent all at once: one more POST at a time with each success.`
}
