import type { RequeueAnswer } from '../../schemas/requeue.ts'
import { type Html, html } from '../html.ts'
import { status } from '../status.ts'
import { count, time } from '../values.ts'
import { requeueFilterInWords } from './requeue-filter-words.ts'
import { requeueBar } from './requeue-progress.ts'

/** Bulk requeues, each of which opens by its row. */
export function requeueTable(requeues: readonly RequeueAnswer[]): Html {
  if (requeues.length === 0) {
    return html`<p class="card empty">Nothing has been requeued in bulk. Begin with <a href="/console/requeues/new">what is to be requeued</a>.</p>`
  }
  return html`<div class="table cards rows"><table>
<thead><tr><th scope="col">Requeue</th><th scope="col">Of</th><th scope="col">Progress</th>
<th scope="col" class="number">Made due</th><th scope="col">Ordered</th><th scope="col">Finished</th></tr></thead>
<tbody>${requeues.map(row)}</tbody>
</table></div>`
}

function row(requeue: RequeueAnswer): Html {
  const { id, state } = requeue
  return html`<tr>
<th scope="row" data-label="Requeue"><a class="opens" href="/console/requeues/${id}" title="${id}">${status(state)}<span class="visually-hidden"> requeue ${id}</span></a></th>
<td data-label="Of">${requeueFilterInWords(requeue.filter)}</td>
<td data-label="Progress">${requeueBar(requeue, `of requeue ${id}`)}</td>
<td class="number" data-label="Made due">${count(requeue.requeued)}</td>
<td data-label="Ordered"><div>${time(requeue.created_at)}<span class="muted">by <bdi>${requeue.operator}</bdi></span></div></td>
<td data-label="Finished">${time(requeue.finished_at)}</td>
</tr>`
}
