import { type Html, html } from './html.ts'

/** `good`, `bad` and so on colour a badge; its word and its sign tell the same without colour. */
const looks = {
  pending: ['wait', '◷'],
  delivered: ['good', '✓'],
  failed: ['bad', '✕'],
  skipped: ['calm', '⤼'],
  active: ['good', '✓'],
  failing: ['warn', '!'],
  parked: ['bad', '‖'],
  open: ['calm', '○'],
  queued: ['wait', '◷'],
  processing: ['wait', '▸'],
  completed: ['good', '✓'],
  waiting: ['wait', '◷'],
  transcribed: ['good', '✓'],
  unusable: ['bad', '✕'],
  ok: ['good', '✓'],
  http_error: ['bad', '✕'],
  timeout: ['bad', '✕'],
  dns: ['bad', '✕'],
  connect: ['bad', '✕'],
  tls: ['bad', '✕'],
  reset: ['bad', '✕'],
  blocked: ['bad', '✕'],
  new: ['wait', '◷'],
  matched: ['good', '✓'],
  unmatched: ['warn', '?'],
  running: ['wait', '▸'],
  stopped: ['calm', '■'],
  done: ['good', '✓'],
  alive: ['good', '✓'],
  leaving: ['wait', '◷'],
  silent: ['bad', '✕'],
} as const satisfies Record<string, readonly [string, string]>

/** A state in its word; one that we have no look for is shown plainly. */
export function status(state: string): Html {
  const [tone, sign] = state in looks ? looks[state as keyof typeof looks] : ['calm', '·']
  return html`<span class="status ${tone}"><span class="sign" aria-hidden="true">${sign}</span>${state.replaceAll('_', ' ')}</span>`
}
