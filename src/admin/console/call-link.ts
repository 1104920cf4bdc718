import { callPath } from '../schemas/call.ts'
import { type Html, html } from './html.ts'
import { visibleText } from './visible-text.ts'

/** A call by its CallSid; what is none, since any program may enqueue, leads nowhere. */
export function callLink(callSid: string): Html {
  const text = html`<bdi>${visibleText(callSid)}</bdi>`
  return callPath.safeParse({ call_sid: callSid }).success
    ? html`<a class="mono sid" href="/console/calls/${callSid}">${text}</a>`
    : html`<span class="mono sid">${text}</span>`
}
