import { deliveryFilter } from '../../schemas/delivery.ts'
import { errorOf, type Filter, timeField } from '../filters.ts'
import { select, textField } from '../forms.ts'
import { type Html, html } from '../html.ts'

const names = Object.keys(deliveryFilter)

/** The fields that say which deliveries, and so neither the page of a list nor how long it is. */
export const deliveriesGiven = (given: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(given).filter(([name]) => names.includes(name)))

/**
 * A form by which deliveries are picked.
 *
 * @param action a path of the console.
 * @param anyStatus what no status at all means there.
 */
export function deliveryFilterForm(filter: Filter<unknown>, action: string, anyStatus: string): Html {
  const { given, problem } = filter
  const text = (name: string, label: string, placeholder: string): Html =>
    textField({ name, label, value: given[name], error: errorOf(problem, name), placeholder })
  return html`<form class="filters" method="get" action="${action}">
<div class="search">${textField({
    ...{ name: 'call_sid', label: 'CallSid, or webhook-id of a delivery', type: 'search', placeholder: 'CA…' },
    ...{ value: given['call_sid'], error: errorOf(problem, 'call_sid') },
  })}</div>
${select('status', 'Status', deliveryFilter.status.unwrap().options, given['status'], anyStatus)}
${text('business_id', 'Business', '10')}
${select('direction', 'Direction', deliveryFilter.direction.unwrap().options, given['direction'])}
${text('event_type', 'Event type', 'call.completed')}
${timeField('since', 'Since', filter)}
${timeField('until', 'Until', filter)}
<div class="buttons"><button class="primary">Filter</button><a class="button" href="${action}">Clear</a></div>
</form>`
}
