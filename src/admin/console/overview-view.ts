import type { Overview, OverviewFinding } from '../schemas/overview.ts'
import { type Html, html } from './html.ts'
import { notice } from './notice.ts'
import { pathOf, waitingOf } from './route-view.ts'
import { status } from './status.ts'
import { count, duration, none, time } from './values.ts'

const dueCountedTo = 100_000
const callsCountedTo = 10_000

const verdicts = {
  all_right: { tone: 'good', sign: '✓', words: 'Everything is all right.' },
  look: { tone: 'warn', sign: '!', words: 'Webhooks go out, but something needs a look.' },
  trouble: { tone: 'bad', sign: '✕', words: 'Something is wrong now.' },
} as const

const places: Record<OverviewFinding['code'], string> = {
  no_dispatcher: '#dispatchers',
  slots_unowned: '#dispatchers',
  deliveries_late: '/console/deliveries?status=pending',
  deliveries_failed: '/console/deliveries?status=failed',
  routes_failing: '/console/routes?state=failing',
  routes_parked: '/console/routes?state=parked',
  recordings_wait: '/console/calls?state=queued',
  calls_retried: '/console/calls?state=processing',
  calls_failed: '/console/calls?state=failed',
  callbacks_unmatched: '/console/callbacks',
  pipeline_paused: '#pipeline',
  model_unknown: '#models',
  model_shuts_down: '#models',
}

/**
 * What changes on the page, as a whole.
 *
 * @param overview `null`: nothing is known.
 * @param trouble why it is not of this moment.
 */
export function overviewPart(overview: Overview | null, trouble?: string): Html {
  return html`${trouble && notice('failed', trouble)}${
    overview &&
    html`${verdict(overview)}
${figures(overview)}
${routesInTrouble(overview)}
<div class="columns">${pipeline(overview)}${dispatchers(overview)}</div>
<p class="hint">Read ${time(overview.read_at)}</p>`
  }`
}

function verdict({ verdict, findings }: Overview): Html {
  const { tone, sign, words } = verdicts[verdict]
  const finding = ({ code, severity, detail }: OverviewFinding, at: number): Html =>
    html`<li id="${findingId(findings, at)}"><span class="status ${severity === 'trouble' ? 'bad' : 'warn'}">${severity}</span>
<span>${detail} <a id="${findingId(findings, at)}-link" href="${places[code]}">Show${html`<span class="visually-hidden">: ${detail}</span>`}</a></span></li>`
  return html`<section class="verdict ${tone}" aria-labelledby="verdict">
<div role="status"><h2 id="verdict"><span class="sign" aria-hidden="true">${sign}</span>${words}</h2></div>
${findings.length > 0 && html`<ul class="findings">${findings.map(finding)}</ul>`}
</section>`
}

/** The id of a finding and its link: a morph keeps the focus only by ids. Models may share a code. */
function findingId(findings: readonly OverviewFinding[], at: number): string {
  const code = findings[at]?.code
  return `finding-${code}-${findings.slice(0, at).filter((earlier) => earlier.code === code).length}`
}

function figures({ deliveries, dispatchers, requeues_running: requeues }: Overview): Html {
  const { due, oldest_due_seconds: oldest, last_hour_is_whole: isWhole } = deliveries
  const living = dispatchers.filter(({ alive }) => alive)
  const slots = living.reduce((sum, dispatcher) => sum + dispatcher.slots, 0)
  const ofHour = isWhole ? 'in the last hour' : 'of the newest 100,000 within the hour'
  return html`<dl class="figures">
${figure('Due now', count(due, dueCountedTo), due === 0 ? 'nothing waits' : `the oldest for ${duration(oldest * 1_000)}`, '/console/deliveries?status=pending')}
${figure('Delivered', count(deliveries.delivered_last_hour), ofHour, '/console/deliveries?status=delivered')}
${figure('Failed', count(deliveries.failed_last_hour), ofHour, '/console/deliveries?status=failed')}
${figure('Dispatchers', count(living.length), `${slots} of 64 slots`, '#dispatchers')}
${requeues > 0 && figure('Requeues', count(requeues), 'running', '/console/requeues')}
</dl>`
}

const figure = (name: string, value: string, note: string, href: string): Html =>
  html`<div><dt>${name}</dt><dd><a class="value number" href="${href}">${value}</a><span class="muted">${note}</span></dd></div>`

function routesInTrouble({ routes }: Overview): Html {
  const all = routes.failing + routes.parked
  const idOf = (route: Overview['routes']['in_trouble'][number]): string =>
    `route-${route.business_id}-${route.direction}`
  const row = (route: Overview['routes']['in_trouble'][number]): Html => html`<tr id="${idOf(route)}">
<th scope="row" data-label="Route"><a id="${idOf(route)}-link" href="${pathOf(route)}">${route.business_id} ${route.direction}</a></th>
<td data-label="State">${status(route.state)}</td>
<td data-label="Why"><bdi>${route.reason ?? 'no reason is known'}</bdi></td>
<td data-label="Since">${time(route.since)}</td>
<td data-label="Waiting" class="number">${waitingOf(route)}</td>
</tr>`
  return html`<section class="group" aria-labelledby="routes"><h2 id="routes">Routes in trouble</h2>
${
  all === 0
    ? html`<p class="card muted">None: ${routes.active === 1 ? 'the one route is' : `all ${count(routes.active)} routes are`} active.</p>`
    : html`<div class="table cards"><table>
<thead><tr><th scope="col">Route</th><th scope="col">State</th><th scope="col">Why</th><th scope="col">Since</th><th scope="col" class="number">Waiting</th></tr></thead>
<tbody>${routes.in_trouble.map(row)}</tbody></table></div>
${all > routes.in_trouble.length && html`<p class="hint">The latest ${count(routes.in_trouble.length)} of ${count(all)}: <a href="/console/routes?state=failing">${count(routes.failing)} failing</a>, <a href="/console/routes?state=parked">${count(routes.parked)} parked</a>.</p>`}`
}</section>`
}

function pipeline({ pipeline, models, callbacks_unmatched: callbacks }: Overview): Html {
  const { calls, jobs, oldest_due_job_seconds: oldest } = pipeline
  const callsLink = (state: keyof typeof calls): Html =>
    html`<a class="number" href="/console/calls?state=${state}">${count(calls[state], callsCountedTo)}</a> ${state}`
  const row = (step: Overview['pipeline']['steps'][number]): Html => html`<tr>
<th scope="row">${step.step}</th>
<td class="number">${count(step.running)}</td>
<td class="number">${troubled(step.retried, 'warn')}</td>
<td class="number">${troubled(step.failed, 'bad')}</td>
</tr>${
    step.last_error !== null &&
    html`<tr class="aside"><td colspan="4"><span class="muted">Last error:</span> <bdi>${step.last_error}</bdi></td></tr>`
  }`
  return html`<section class="group" aria-labelledby="pipeline"><h2 id="pipeline">Pipeline</h2>
${pipeline.paused.map(pausedStep)}
<div class="table tight"><table>
<thead><tr><th scope="col">Step</th><th scope="col" class="number">At it</th><th scope="col" class="number">Retried</th><th scope="col" class="number">Failed, 24 h</th></tr></thead>
<tbody>${pipeline.steps.map(row)}</tbody></table></div>
<p class="hint">Calls: ${callsLink('open')}, ${callsLink('queued')}, ${callsLink('processing')}, ${callsLink('failed')}.
Recordings: ${count(jobs.due, callsCountedTo)} to be taken now${oldest > 0 && `, the oldest for ${duration(oldest * 1_000)}`}, ${count(jobs.active, callsCountedTo)} at work.
<a href="/console/callbacks"><span class="number">${count(callbacks, dueCountedTo)}</span> unmatched callbacks</a>.</p>${models.length > 0 && html`<p class="hint" id="models">Models: ${models.map(modelInUse)}</p>`}</section>`
}

function pausedStep({ step, error, since, until }: Overview['pipeline']['paused'][number]): Html {
  return html`<p class="card"><span class="status ${until === null ? 'bad' : 'warn'}">paused</span> ${step ?? 'model service'}
since ${time(since)}${until !== null && html` until ${time(until)}`}: <bdi>${error}</bdi></p>`
}

function modelInUse({ use, model, known, shutdown_date: date }: Overview['models'][number], at: number): Html {
  const state = known === false ? ' (unknown to the service)' : date === null ? '' : ` (until ${date})`
  return html`${at > 0 && ', '}${use} <bdi>${model}</bdi>${state}`
}

const troubled = (value: number, tone: 'warn' | 'bad'): Html =>
  value === 0 ? html`0` : html`<span class="status ${tone}">${count(value)}</span>`

function dispatchers({ dispatchers: all, slots_unowned: unowned }: Overview): Html {
  const row = (dispatcher: Overview['dispatchers'][number]): Html => html`<tr>
<th scope="row" data-label="Host"><bdi>${dispatcher.host === '' ? none : dispatcher.host}</bdi></th>
<td data-label="State">${status(dispatcher.alive ? (dispatcher.leaving ? 'leaving' : 'alive') : 'silent')}</td>
<td data-label="Slots" class="number">${dispatcher.slots}</td>
<td data-label="Started">${time(dispatcher.started_at)}</td>
</tr>`
  return html`<section class="group" aria-labelledby="dispatchers"><h2 id="dispatchers">Dispatchers</h2>
${
  all.length === 0
    ? html`<p class="card muted">None has started.</p>`
    : html`<div class="table cards"><table>
<thead><tr><th scope="col">Host</th><th scope="col">State</th><th scope="col" class="number">Slots</th><th scope="col">Started</th></tr></thead>
<tbody>${all.map(row)}</tbody></table></div>`
}
${unowned > 0 && html`<p class="hint">${unowned} of 64 slots belong to no living dispatcher.</p>`}</section>`
}
