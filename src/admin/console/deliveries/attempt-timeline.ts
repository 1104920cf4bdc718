import { STATUS_CODES } from 'node:http'
import { z } from 'zod'
import type { AttemptRow } from '../../../outbox/deliveries.ts'
import { type Html, html } from '../html.ts'
import { status } from '../status.ts'
import { count, duration, time } from '../values.ts'
import { visibleText } from '../visible-text.ts'
import type { WholeDelivery } from './delivery-reading.ts'
import { sentHeaders } from './sent-headers.ts'
import { whatComesNext } from './what-comes-next.ts'

/** How many attempts are shown unless more are asked for, and at most: each can be 13 KB of markup. */
const usuallyShown = 20
const maxShown = 100
/** Excerpts are cut here; see `dispatcher/post.ts`. */
const excerptBytes = 2_048

/** Which attempts a page shows: the last 20, the last 100 (`all`), or 100 up to the one with this number. */
export const shownAttempts = z
  .union([z.literal('all'), z.coerce.number().int().min(1)])
  .catch(0)
  .transform((of) => of || 'last')
export type ShownAttempts = z.infer<typeof shownAttempts>

/** What was sent, what came back, how long each wait was, and what comes next; oldest first. */
export function attemptTimeline(whole: WholeDelivery, which: ShownAttempts): Html {
  const { delivery } = whole
  const upTo = whole.attempts.filter(({ number }) => typeof which === 'string' || number <= which)
  const hidden = Math.max(0, upTo.length - (which === 'last' ? usuallyShown : maxShown))
  const shown = upTo.slice(hidden)
  const isEarlier = upTo.length < whole.attempts.length
  return html`
${hidden > 0 && earlierLink(delivery.id, hidden, which === 'last' ? 'all' : (shown[0]?.number ?? 1) - 1)}
<ol class="timeline">
<li class="calm"><span class="dot" aria-hidden="true"></span><div><h3>Enqueued</h3> ${time(delivery.created_at)}</div></li>
${shown.map((one, place) => attempt(one, shown[place + 1], whole))}
${!isEarlier && whatComesNext(whole)}
</ol>
${isEarlier && html`<p><a href="/console/deliveries/${delivery.id}">Show the latest attempts</a></p>`}`
}

function earlierLink(id: string, hidden: number, attempts: ShownAttempts): Html {
  const next = attempts === 'all' ? maxShown - usuallyShown : maxShown
  const number = hidden <= next ? count(hidden) : `${count(next)} of ${count(hidden)}`
  return html`<p><a href="/console/deliveries/${id}?attempts=${attempts}">Show ${number} earlier attempts</a></p>`
}

function attempt(one: AttemptRow, next: AttemptRow | undefined, { delivery, business }: WholeDelivery): Html {
  const { id, number, started_at: startedAt, duration_ms: durationMs, result, error } = one
  const started = startedAt.toISOString()
  const waited = next && next.started_at.getTime() - startedAt.getTime() - durationMs
  return html`<li class="${result === 'ok' ? 'good' : 'bad'}" id="attempt-${id}"><span class="dot" aria-hidden="true"></span>
<div>
<div class="row"><h3>Attempt ${count(number)}</h3>${status(result)}<span class="took">after ${duration(durationMs)}</span><span class="when">${time(started)}</span></div>
<dl class="facts">
<dt>Sent</dt><dd><span class="muted">POST</span> <bdi class="mono url">${visibleText(one.url)}</bdi>${headers(sentHeaders(delivery.id, started, business?.header_names ?? null))}</dd>
<dt>Came back</dt><dd>${answer(one)}${error !== null && html`<div class="error" dir="auto">${visibleText(error)}</div>`}${excerpt(one)}</dd>
</dl>
${waited !== undefined && html`<p class="waited">${waited < 0 ? 'another followed before it ended' : html`${duration(waited)} until the next`}</p>`}
</div></li>`
}

function headers(sent: ReturnType<typeof sentHeaders>): Html {
  return html`<details><summary>${sent.length} headers</summary><dl class="headers mono">${sent.map(
    ({ name, value, note }) =>
      html`<div><dt>${name}:</dt> <dd>${value === null ? html`<span class="muted">${note}</span>` : value}</dd></div>`,
  )}</dl></details>`
}

function answer({ status_code: code }: AttemptRow): Html {
  if (code === null) return html`<span class="muted">no answer</span>`
  return html`<strong class="number">${code}</strong> ${STATUS_CODES[code] ?? ''}`
}

function excerpt({ number, response_excerpt: bytes, status_code: code }: AttemptRow): Html {
  if (bytes === null) return code === null ? html`` : html`<div class="muted">without a body</div>`
  const isCut = bytes.length >= excerptBytes
  return html`<pre class="wrap excerpt" dir="auto" tabindex="0" role="group" aria-label="Answer to attempt ${count(number)}">${visibleText(bytes.toString('utf8'))}</pre>
${isCut && html`<div class="hint">The first ${count(excerptBytes)} bytes; what came after is not kept.</div>`}`
}
