import type { Response } from 'express'
import type { Direction } from '../../../outbox/routing.ts'
import { effectiveUrl } from '../../business-records.ts'
import type { Problem } from '../../problems.ts'
import type { Business } from '../../schemas/business.ts'
import type { RouteState } from '../../schemas/route.ts'
import { errorOf } from '../filters.ts'
import { orderForm, textField } from '../forms.ts'
import { type Html, html } from '../html.ts'
import { notice } from '../notice.ts'
import type { Page } from '../page.ts'
import { problemNotice } from '../problem-pages.ts'
import { status } from '../status.ts'
import { time } from '../values.ts'
import { settingsFields } from './business-fields.ts'
import { headerFields } from './business-headers.ts'
import type { SettingsForm } from './business-settings.ts'

/** What the forms of the page show besides what is stored. */
export interface Entered {
  /** The form that could not be saved. */
  part: 'settings' | 'headers' | 'secret' | null
  /** What is wrong with it. */
  problem: Problem | null
  settings: SettingsForm
  /** Of new headers. */
  headerNames: string[]
}

export function businessPageOf(
  response: Response,
  business: Business,
  routes: readonly RouteState[],
  testEvent: Html | null,
  entered: Entered,
): Page {
  const { business_id: id, name } = business
  const problemOf = (part: Entered['part']): Problem | null => (entered.part === part ? entered.problem : null)
  return {
    title: name === '' ? `Business ${id}` : `${name} (${id})`,
    heading: name === '' ? html`Business ${id}` : html`<bdi>${name}</bdi> <span class="muted">${id}</span>`,
    place: 'businesses',
    actions: links(id),
    body: html`${entered.problem && refusalNotice(entered.problem)}
${business.language_rejected && rejectedLanguage(business.language)}
${testEvent}${endpoints(response, business, routes)}
${settingsCard(response, business, entered.settings, problemOf('settings'))}
${headersCard(response, business, entered.headerNames, problemOf('headers'))}
${secretCard(response, business, problemOf('secret'))}`,
  }
}

/** The fields have their own messages. */
export const refusalNotice = (problem: Problem): Html =>
  problem.fields.length === 0
    ? problemNotice(problem)
    : notice('failed', 'Nothing was saved. What is wrong is said beside the fields.')

const rejectedLanguage = (language: string): Html =>
  notice(
    'warning',
    `The transcription service rejects the language ${language}. The calls are transcribed without it; choose another, or none.`,
  )

const links = (id: string): Html => html`<a class="button" href="/console/deliveries?business_id=${id}">Deliveries</a>
<a class="button" href="/console/calls?business_id=${id}">Calls</a>
<a class="button" href="/console/audit?business_id=${id}">Changes</a>`

/** What says where a direction goes. */
function sourceOf(direction: Direction, business: Business): string {
  if (direction === 'outbound') return 'its outbound URL'
  return business.inbound_webhook_url === null ? 'the generic URL' : 'its inbound URL'
}

function endpoints(response: Response, business: Business, routes: readonly RouteState[]): Html {
  const { business_id: id } = business
  const row = (direction: Direction): Html => {
    const url = effectiveUrl(direction, business)
    const route = routes.find((one) => one.direction === direction)
    return html`<tr>
<th scope="row" data-label="Calls"><a href="/console/routes/${id}/${direction}">${direction}</a></th>
<td data-label="Go to">${
      url === null
        ? html`<span class="muted">nowhere: their deliveries are skipped</span>`
        : html`<div><bdi class="mono">${url}</bdi><div class="muted">${sourceOf(direction, business)}</div></div>`
    }</td>
<td data-label="Route">${route && status(route.state)}</td>
<td data-label=""><div class="row">${url !== null && testOrder(response, id, direction)}
<a class="button" href="/console/requeues/new?business_id=${id}&amp;direction=${direction}&amp;status=skipped">Requeue skipped…</a></div></td>
</tr>`
  }
  return html`<div class="table cards"><table>
<thead><tr><th scope="col">Calls</th><th scope="col">Go to</th><th scope="col">Route</th><th scope="col"><span class="visually-hidden">Orders</span></th></tr></thead>
<tbody>${row('inbound')}${row('outbound')}</tbody></table></div>`
}

const testOrder = (response: Response, id: string, direction: Direction): Html =>
  orderForm(
    response,
    `/console/businesses/${id}/test-events`,
    html`<input type="hidden" name="direction" value="${direction}"><button>Send a test event</button>`,
  )

const seen = ({ updated_at: at }: Business): Html => html`<input type="hidden" name="seen" value="${at}">`

function settingsCard(response: Response, business: Business, form: SettingsForm, problem: Problem | null): Html {
  return html`<section class="card"><h2>Settings</h2>${orderForm(
    response,
    `/console/businesses/${business.business_id}`,
    html`${seen(business)}${settingsFields(form, problem)}
<div class="row"><button class="primary">Save the settings</button><span class="muted">Changed ${time(business.updated_at)}</span></div>`,
    'settings',
  )}</section>`
}

function headersCard(
  response: Response,
  business: Business,
  entered: readonly string[],
  problem: Problem | null,
): Html {
  const { header_names: names } = business
  return html`<section class="card" id="headers"><h2>Custom headers</h2>
<p class="hint below">Sent with every POST, such as n8n's header authentication. Their values are encrypted, and never shown.
Leave a value empty to keep it as it is.</p>
${names === null && notice('warning', 'The headers that are set cannot be decrypted, so nothing is sent. Set all of them anew.')}
${orderForm(
  response,
  `/console/businesses/${business.business_id}/headers`,
  html`${seen(business)}${headerFields(names, entered, problem?.fields[0]?.detail ?? null)}
<div><button class="primary">Save the headers</button></div>`,
  'stack',
)}</section>`
}

function secretCard(response: Response, business: Business, problem: Problem | null): Html {
  const { business_id: id, previous_secret_until: until } = business
  const isFormerInUse = until !== null && Date.parse(until) > Date.now()
  const own = {
    ...{ name: 'signing_secret', label: 'One of your own, if you have it', placeholder: 'whsec_…' },
    ...{ error: errorOf(problem, 'signing_secret'), hint: 'Left empty, Callbox makes one and shows it once.' },
  }
  return html`<section class="card stack" id="secret"><h2>Signing secret</h2>
<p>${isFormerInUse ? html`The former secret signs too, until ${time(until)}.` : 'One secret signs every POST.'}
When it is rotated, the present one signs on for 24 hours beside the new one.</p>
<details${problem ? html` open` : ''}><summary>Rotate the secret…</summary>${orderForm(
    response,
    `/console/businesses/${id}/secret`,
    html`${seen(business)}
${isFormerInUse && notice('warning', 'Two secrets sign now. The older one ends at once when you rotate again.')}
${textField(own)}
<div><button class="danger">Rotate the secret</button></div>`,
    'stack narrow',
  )}</details></section>`
}
