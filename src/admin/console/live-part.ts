import { type Html, html } from './html.ts'

/**
 * A part of a page that brings itself up to date while something goes on. An answer that is an error, as during a
 * restart, leaves it as it is.
 *
 * @param path answers with this part alone.
 * @param everySeconds `null`: nothing changes any more.
 */
export function livePart(id: string, path: string, everySeconds: number | null, body: Html): Html {
  if (everySeconds === null) return html`<div id="${id}" class="live">${body}</div>`
  return html`<div id="${id}" class="live" hx-get="${path}" hx-trigger="every ${everySeconds}s" hx-swap="outerMorph"
 hx-status:4xx="swap:none" hx-status:5xx="swap:none">
<noscript><p><a class="button" href="">Bring up to date</a></p></noscript>
${body}</div>`
}
