import type { Response } from 'express'
import { callLink } from '../call-link.ts'
import { orderForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { prettyJson } from '../json-view.ts'
import { livePart } from '../live-part.ts'
import { status } from '../status.ts'
import { count, time } from '../values.ts'
import { visibleText } from '../visible-text.ts'
import { attemptTimeline, type ShownAttempts } from './attempt-timeline.ts'
import { curlCommand, isOfFile } from './curl-command.ts'
import type { WholeDelivery } from './delivery-reading.ts'
import { sentHeaders } from './sent-headers.ts'

/** How often a pending delivery is looked at again, in seconds: when it is due soon, and when it is not. */
const soon = { withinMs: 60_000, every: 2 }
const laterEvery = 15

export const payloadFileName = (id: string): string => `delivery-${id}.json`

/** All of a delivery that changes by itself. */
export function deliveryProgress(response: Response, whole: WholeDelivery & { shown: ShownAttempts }): Html {
  const { delivery, shown } = whole
  const { id, due_at: dueAt } = delivery
  // A hundred attempts are too many to be fetched every other second.
  const isSoon = shown === 'last' && dueAt !== null && Date.parse(dueAt) - Date.now() < soon.withinMs
  const every = delivery.status !== 'pending' ? null : isSoon ? soon.every : laterEvery
  const path = `/console/deliveries/${id}/progress${shown === 'last' ? '' : `?attempts=${shown}`}`
  return livePart(
    'progress',
    path,
    every,
    html`<section class="card delivery-facts" aria-label="Facts">${facts(whole)}${requeueOrder(response, whole)}${discardOrder(response, whole)}</section>
<section class="card"><h2>What happened</h2>${attemptTimeline(whole, shown)}</section>`,
  )
}

function facts({ delivery }: WholeDelivery): Html {
  const { business_id: business, call_sid: call, reason } = delivery
  const isPending = delivery.status === 'pending'
  return html`<dl class="sheet">
<div><dt>Status</dt><dd>${status(delivery.status)}</dd></div>
<div><dt>Business</dt><dd><a href="/console/businesses/${business}">${business}</a>, ${delivery.direction}</dd></div>
<div><dt>Event</dt><dd>${delivery.event_type}</dd></div>
<div><dt>Call</dt><dd>${callLink(call)}</dd></div>
<div><dt>Attempts</dt><dd>${count(delivery.attempt_count)}</dd></div>
<div><dt>Created</dt><dd>${time(delivery.created_at)}</dd></div>
<div><dt>${isPending ? 'Due' : 'Finished'}</dt><dd>${time(isPending ? delivery.due_at : delivery.finished_at)}</dd></div>
${delivery.operator !== null && html`<div><dt>Discarded by</dt><dd dir="auto">${visibleText(delivery.operator)}</dd></div>`}
${!isPending && reason !== null && html`<div class="across"><dt>Why</dt><dd dir="auto">${visibleText(reason)}</dd></div>`}
</dl>`
}

function requeueOrder(response: Response, { delivery, payload }: WholeDelivery): Html {
  const { id, status: state, due_at: dueAt } = delivery
  if (payload === null) return html`<p class="muted">Retention has taken its payload, so it cannot be sent again.</p>`
  const order = (label: string): Html =>
    orderForm(response, `/console/deliveries/${id}/requeue`, html`<button class="primary">${label}</button>`)
  if (state === 'delivered') {
    return html`<details><summary>Send it again…</summary><div class="stack">
<p>It was accepted. The receiver gets the same bytes once more, with the same <code>webhook-id</code>, by which it can tell.</p>
${order('Send it again')}</div></details>`
  }
  if (state !== 'pending') return order('Requeue')
  return dueAt !== null && Date.parse(dueAt) > Date.now() ? order('Try it now') : html``
}

function discardOrder(response: Response, { delivery: { id, status: state, operator } }: WholeDelivery): Html {
  if (state === 'delivered' || operator !== null) return html``
  return html`<details><summary>Discard it…</summary><div class="stack">
<p>It becomes skipped and is not tried again, unless it is requeued. An attempt in flight may still reach the receiver.</p>
${orderForm(
  response,
  `/console/deliveries/${id}/discard`,
  html`<label class="field"><span>Reason</span><input name="reason" required maxlength="200" dir="auto" autocomplete="off"></label>
<div><button class="danger">Discard delivery</button></div>`,
  'stack narrow',
)}</div></details>`
}

/** What is sent, to read, to copy and to download. */
export function payloadCard({ delivery: { id }, payload }: WholeDelivery): Html {
  if (payload === null) {
    return html`<section class="card"><h2>Payload</h2><p class="muted">Retention has taken it.</p></section>`
  }
  const bytes = Buffer.byteLength(payload)
  const { markup, length } = prettyJson(payload)
  const isWhole = length === payload.length
  const file = (text: string, look?: string): Html =>
    html`<a${look && html` class="${look}"`} href="/console/deliveries/${id}/payload" download="${payloadFileName(id)}">${text}</a>`
  return html`<section class="card"><div class="card-head"><h2>Payload <span class="hint">${count(bytes)} bytes</span></h2>
<div class="actions">${isWhole && html`<button type="button" data-copy="#payload">Copy</button>`}
${file('Download as sent', 'button')}</div></div>
<pre class="wrap json" id="payload" dir="ltr" tabindex="0" role="region" aria-label="Payload">${markup}</pre>
${!isWhole && html`<div class="hint">The first ${count(length)} of ${count(payload.length)} characters. ${file('Download all')}</div>`}</section>`
}

/** The last attempt, or the first one to come, as a command. */
export function curlCard({ delivery: { id }, payload, attempts, route, business }: WholeDelivery): Html {
  const last = attempts.at(-1)
  const url = last?.url ?? route?.url ?? null
  if (payload === null || url === null) return html``
  const headers = sentHeaders(id, last?.started_at.toISOString() ?? null, business?.header_names ?? [])
  const command = curlCommand({
    url,
    headers: headers.map(({ name, value }) => [name, value ?? `<${name}>`] as const),
    payload,
    fileName: payloadFileName(id),
  })
  return html`<section class="card"><div class="card-head"><h2>The same by hand</h2>
<div class="actions"><button type="button" data-copy="#curl">Copy as curl</button></div></div>
<p class="hint below">For bash or zsh. What is secret is left out: put a value wherever a header has its own name in angle brackets.
${isOfFile(payload) && ' The payload is too long for a command line: download it into the same directory.'}</p>
<pre class="wrap" id="curl" dir="ltr" tabindex="0" role="region" aria-label="Command">${command}</pre></section>`
}
