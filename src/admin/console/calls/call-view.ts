import type { Response } from 'express'
import type { CallAnswer } from '../../schemas/call.ts'
import { orderForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { prettyJson } from '../json-view.ts'
import { livePart } from '../live-part.ts'
import { status } from '../status.ts'
import { count, duration, none, time } from '../values.ts'
import { visibleText } from '../visible-text.ts'

const everySeconds = 3
/** How much of a transcript or summary is shown, in UTF-16 code units. */
const maxShownText = 100_000

/** All of a call that changes by itself, and what can be done to it. */
export function callProgress(response: Response, call: CallAnswer): Html {
  const { call_sid: sid, state } = call
  const path = `/console/calls/${sid}`
  const isMoving = state === 'open' || state === 'queued' || state === 'processing'
  return livePart(
    'progress',
    `${path}/progress`,
    isMoving ? everySeconds : null,
    html`<section class="card stack" aria-label="Facts">${facts(call)}
${state === 'failed' && orderForm(response, `${path}/reprocess`, html`<button class="primary">Reprocess</button>`)}
${state === 'completed' && orderForm(response, `${path}/reprocess`, html`<button>Reprocess</button>`)}</section>
<section class="card"><h2>Recordings</h2>${recordings(call)}</section>
<section class="card"><h2>Steps</h2>${steps(call)}</section>`,
  )
}

function facts(call: CallAnswer): Html {
  const { state, error, business_id: business } = call
  return html`<dl class="sheet">
<div><dt>State</dt><dd>${status(state)}</dd></div>
<div><dt>Business</dt><dd><a href="/console/businesses/${business}">${business}</a>${call.direction !== null && `, ${call.direction}`}</dd></div>
<div><dt>From</dt><dd>${text(call.from)}</dd></div>
<div><dt>To</dt><dd>${text(call.to)}</dd></div>
<div><dt>Began</dt><dd>${time(call.started_at)}</dd></div>
<div><dt>Length</dt><dd>${call.duration_sec === null ? none : duration(call.duration_sec * 1_000)}</dd></div>
<div><dt>First heard of</dt><dd>${time(call.created_at)}</dd></div>
<div><dt>${state === 'failed' ? 'Failed' : 'Completed'}</dt><dd>${time(state === 'failed' ? call.failed_at : call.completed_at)}</dd></div>
<div><dt>Customer</dt><dd>${text(call.customer_name)}</dd></div>
<div><dt>Agent</dt><dd>${text(call.agent_name)}</dd></div>
<div><dt>Lead</dt><dd>${text(call.lead_id)}</dd></div>
${error !== null && html`<div class="across"><dt>${state === 'failed' ? 'Why it failed' : 'Why reprocessing failed'}</dt><dd class="bad-text" dir="auto">${visibleText(error)}</dd></div>`}
</dl>`
}

const recordingTone = { waiting: 'wait', transcribed: 'good', unusable: 'bad' } as const

function recordings(call: CallAnswer): Html {
  if (call.recordings.length === 0) return html`<p class="muted">No recordings yet.</p>`
  return html`<ol class="timeline">${call.recordings.map((recording) => {
    const { recording_sid: sid, state, error, source, duration_sec: seconds } = recording
    const isLate = state === 'waiting' && call.state === 'completed'
    return html`<li class="${recordingTone[state]}"><span class="dot" aria-hidden="true"></span><div>
<div class="row"><h3 class="mono"><bdi>${visibleText(sid)}</bdi></h3>${status(state)}${
      seconds !== null && html`<span class="took">${duration(seconds * 1_000)}</span>`
    }${source !== '' && html`<span class="muted">${visibleText(source)}</span>`}<span class="when">${time(recording.started_at ?? recording.received_at)}</span></div>
${error !== null && html`<p class="error" dir="auto">${visibleText(error)}</p>`}
${isLate && html`<p class="muted">It came after the call was completed. Reprocess the call to include it.</p>`}
</div></li>`
  })}</ol>`
}

function steps(call: CallAnswer): Html {
  if (call.steps.length === 0) {
    const why = call.state === 'open' ? 'They begin when its recording is there.' : 'None has begun yet.'
    return html`<p class="muted">${why}</p>`
  }
  return html`<ol class="timeline">${call.steps.map((step) => {
    const { error, started_at: started, finished_at: finished, attempts } = step
    const tone = finished !== null ? 'good' : error !== null ? 'bad' : 'wait'
    const word = finished !== null ? 'done' : error !== null ? 'failed' : 'running'
    return html`<li class="${tone}"><span class="dot" aria-hidden="true"></span><div>
<div class="row"><h3>${step.step}</h3>${status(word)}${
      finished !== null && html`<span class="took">${duration(Date.parse(finished) - Date.parse(started))}</span>`
    }${attempts > 1 && html`<span class="muted">${attempts} attempts</span>`}<span class="when">${time(started)}</span></div>
${error !== null && html`<p class="${finished === null ? 'error' : 'muted'}" dir="auto">${visibleText(error)}</p>`}
</div></li>`
  })}</ol>`
}

const text = (value: string): Html => (value === '' ? none : html`<bdi>${visibleText(value)}</bdi>`)

/** What came of it. */
export function callText(call: CallAnswer): Html {
  const hasMetadata = Object.keys(call.metadata).length > 0
  return html`<section class="card"><h2>What it was about</h2><dl class="facts">
<dt>City</dt><dd>${text(call.city)}</dd>
<dt>Service</dt><dd>${text(call.service_category)}</dd>
</dl></section>
<section class="card"><h2>Summary</h2>${written(call.summary)}</section>
<section class="card"><h2>Transcript</h2>${written(call.transcript)}</section>
${
  hasMetadata &&
  html`<section class="card"><h2>Metadata of the platform</h2>
<pre class="wrap json" dir="ltr" tabindex="0" role="region" aria-label="Metadata">${prettyJson(JSON.stringify(call.metadata)).markup}</pre></section>`
}`
}

function written(text: string | null): Html {
  if (text === null) return html`<p class="muted">Not there yet, or taken by retention.</p>`
  if (text === '') return html`<p class="muted">Nothing was said.</p>`
  const isCut = text.length > maxShownText
  return html`<p class="text" dir="auto">${visibleText(text.slice(0, maxShownText))}</p>
${isCut && html`<div class="hint">The first ${count(maxShownText)} of ${count(text.length)} characters; the admin API has all of it.</div>`}`
}
