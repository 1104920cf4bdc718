import type { DeliveryAnswer } from '../../schemas/delivery.ts'
import type { RouteState } from '../../schemas/route.ts'
import { type Html, html } from '../html.ts'
import { time } from '../values.ts'
import { visibleText } from '../visible-text.ts'
import type { WholeDelivery } from './delivery-reading.ts'

interface Next {
  tone: 'wait' | 'warn' | 'bad' | 'good' | 'calm'
  title: string
  text: Html
}

/** The last entry of a delivery's timeline: what it waits for, or how it ended. */
export function whatComesNext({ delivery, route }: WholeDelivery): Html {
  const { tone, title, text } = delivery.status === 'pending' ? pending(delivery, route) : ended(delivery, route)
  return html`<li class="${tone} next"><span class="dot" aria-hidden="true"></span><div><h3>${title}</h3>
${text}</div></li>`
}

function pending(delivery: DeliveryAnswer, route: RouteState | null): Next {
  const { business_id: business, direction, due_at: dueAt } = delivery
  const routeLink = html`<a href="/console/routes/${business}/${direction}">its route</a>`
  const why = route?.reason && html`: <bdi>${visibleText(route.reason)}</bdi>`
  const attempt = `attempt ${delivery.attempt_count + 1}`
  if (route?.state === 'parked') {
    const text = html`<p>It waits, and uses up no attempt, until ${routeLink} is unparked${why}</p>
${route.since !== null && html`<p class="muted">Parked ${time(route.since)}</p>`}`
    return { tone: 'bad', title: 'Waits: its route is parked', text }
  }
  if (route?.state === 'failing') {
    const text = html`<p>The endpoint of ${routeLink} fails${why}. One delivery at a time is let through as a probe; this one
waits for its turn, and uses up nothing of its schedule.</p>
${probe(route.probe_at)}`
    return { tone: 'warn', title: `Waits for ${attempt}: its route is failing`, text }
  }
  if (route?.url === null) {
    const text = html`<p>No URL is set for ${direction} calls: it will be skipped when its turn comes, unless
<a href="/console/businesses/${business}">the business</a> gets one.</p>`
    return { tone: 'warn', title: 'Has nowhere to go', text }
  }
  if (dueAt !== null && Date.parse(dueAt) > Date.now())
    return { tone: 'wait', title: `Next: ${attempt}`, text: time(dueAt) }
  return {
    tone: 'wait',
    title: `Due now: ${attempt}`,
    text: html`<p>It is sent when it is the turn of ${routeLink}.</p>`,
  }
}

function probe(at: string | null): Html {
  if (at === null || Date.parse(at) <= Date.now()) return html`<p class="muted">The next probe is due.</p>`
  return html`<p class="muted">Next probe ${time(at)}</p>`
}

function ended({ status, reason, finished_at: at }: DeliveryAnswer, route: RouteState | null): Next {
  const told = reason !== null && html`<p dir="auto">${visibleText(reason)}</p>`
  if (status === 'delivered') return { tone: 'good', title: 'Delivered', text: time(at) }
  if (status === 'failed')
    return { tone: 'bad', title: 'Failed: its schedule is used up', text: html`${told}${time(at)}` }
  const fits = route?.url != null
  return {
    tone: 'calm',
    title: 'Skipped',
    text: html`${told}${fits && html`<p>There is a URL for it now: requeue it to send it there.</p>`}${time(at)}`,
  }
}
