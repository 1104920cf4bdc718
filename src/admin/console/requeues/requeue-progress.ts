import type { Response } from 'express'
import type { RequeueAnswer } from '../../schemas/requeue.ts'
import { orderForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { livePart } from '../live-part.ts'
import { notice } from '../notice.ts'
import { status } from '../status.ts'
import { count, time } from '../values.ts'

const everySeconds = 1

/** All of a bulk requeue that changes by itself, and what can be done to it. */
export function requeueProgress(response: Response, requeue: RequeueAnswer): Html {
  const { id, state, error } = requeue
  const path = `/console/requeues/${id}`
  return livePart(
    'progress',
    `${path}/progress`,
    state === 'running' ? everySeconds : null,
    html`<section class="card stack" aria-label="Progress">
<div class="row">${status(state)}${requeue.finished_at !== null && time(requeue.finished_at)}</div>
${requeueBar(requeue, 'of this requeue')}
${error !== null && notice('failed', error)}
<dl class="facts">
<dt>Made due</dt><dd class="number">${count(requeue.requeued)}</dd>
<dt>Were due already</dt><dd class="number">${count(requeue.already_due)}</dd>
<dt>Without their payload</dt><dd class="number">${count(requeue.payload_gone)}${requeue.payload_gone > 0 && html` <span class="muted">retention has taken it</span>`}</dd>
<dt>Looked at</dt><dd class="number">${count(requeue.examined)}</dd>
</dl>
${state === 'running' && orderForm(response, `${path}/stop`, html`<button class="danger">Stop</button>`)}
${(state === 'stopped' || state === 'failed') && orderForm(response, `${path}/resume`, html`<button class="primary">Resume</button>`)}
</section>`,
  )
}

/** How much of it is done, as a bar and in words. @param of completes its name: `Progress of …`. */
export function requeueBar({ matched, total, total_is_exact: isExact, state }: RequeueAnswer, of: string): Html {
  // What was enqueued or finished since the count can match too, and an estimate is one.
  const whole = state === 'done' ? matched : Math.max(total, matched)
  const percent = whole === 0 ? 100 : Math.floor((matched / whole) * 100)
  const words = state === 'done' ? count(matched) : `${count(matched)} of ${isExact ? '' : 'about '}${count(whole)}`
  return html`<div class="progress"><progress max="100" value="${percent}" aria-label="Progress ${of}">${percent}%</progress>
<span class="number">${percent}%</span> <span class="muted number">${words}</span></div>`
}
