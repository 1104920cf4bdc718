import type { Response } from 'express'
import type { RequeueDryRun } from '../../schemas/requeue.ts'
import { deliveriesGiven } from '../deliveries/delivery-filter.ts'
import { deliveryTable, type NamedDeliveries } from '../deliveries/delivery-table.ts'
import { orderForm } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { notice } from '../notice.ts'
import { count } from '../values.ts'

const whatItDoes: Record<string, string> = {
  delivered:
    'These were accepted. Their receivers get them once more, with the same webhook-id, by which they can tell.',
  pending: 'These wait already. They are made due now, without the rest of their wait.',
}

/** What a requeue would do, and the button that does it. @param examples of its dry run. */
export function requeueConfirmation(
  response: Response,
  given: Record<string, string>,
  { total, total_is_exact: isExact }: RequeueDryRun,
  examples: NamedDeliveries,
): Html {
  const many = `${isExact ? '' : 'about '}${count(total)} ${total === 1 ? 'delivery' : 'deliveries'}`
  if (total === 0) return deliveryTable(examples, 'No delivery matches: there is nothing to requeue.')
  const warning = whatItDoes[given['status'] ?? '']
  const fields = Object.entries(deliveriesGiven(given))
  return html`<section class="card stack"><h2>Requeue ${many}?</h2>
${warning !== undefined && notice('warning', warning)}
<p>What is enqueued from now on is left out. It can be stopped at any time, and goes on after a restart.</p>
${orderForm(
  response,
  '/console/requeues',
  html`${fields.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)}
<div class="row"><button class="primary">Requeue ${many}</button><a class="button" href="/console/requeues">Do not</a></div>`,
)}</section>
<section class="stack"><h2>${examples.items.length < total ? `The oldest ${count(examples.items.length)} of them` : 'They are'}</h2>
${deliveryTable(examples, 'None.')}</section>`
}
