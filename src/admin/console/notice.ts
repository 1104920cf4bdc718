import { type Html, html } from './html.ts'

const signs = { done: '✓', failed: '✕', warning: '!', hint: 'i' }

/** A message across the page. What is done is announced politely, what failed at once. */
export function notice(kind: keyof typeof signs, text: string | Html): Html {
  const role = kind === 'failed' ? 'alert' : 'status'
  return html`<div class="notice ${kind}" role="${role}"><span class="sign" aria-hidden="true">${signs[kind]}</span><div dir="auto">${text}</div></div>`
}
