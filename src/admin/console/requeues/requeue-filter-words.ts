import type { RequeueFilter } from '../../schemas/requeue.ts'
import { type Html, html } from '../html.ts'
import { visibleText } from '../visible-text.ts'

/** What a bulk requeue picks, as a list of short texts. */
export function requeueFilterInWords({ status, ...filter }: RequeueFilter): Html {
  const fields = Object.entries(filter).filter(([, value]) => value !== undefined)
  return html`<ul class="plain"><li>${status ?? 'failed and skipped'}</li>${fields.map(
    ([name, value]) =>
      html`<li><span class="muted">${name.replaceAll('_', ' ')}:</span> <bdi>${visibleText(String(value))}</bdi></li>`,
  )}</ul>`
}
