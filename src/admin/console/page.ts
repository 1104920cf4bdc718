import type { Response } from 'express'
import { assetUrl } from './assets.ts'
import { type Html, html } from './html.ts'
import { notice } from './notice.ts'
import { type Visit, visitOrNull } from './visit.ts'

const places = [
  { id: 'overview', name: 'Overview', path: '/console' },
  { id: 'deliveries', name: 'Deliveries', path: '/console/deliveries' },
  { id: 'requeues', name: 'Requeues', path: '/console/requeues' },
  { id: 'routes', name: 'Routes', path: '/console/routes' },
  { id: 'businesses', name: 'Businesses', path: '/console/businesses' },
  { id: 'calls', name: 'Calls', path: '/console/calls' },
  { id: 'callbacks', name: 'Callbacks', path: '/console/callbacks' },
  { id: 'audit', name: 'Audit', path: '/console/audit' },
] as const
type Place = (typeof places)[number]['id']

export interface Page {
  /** Of the window; also the heading, unless `heading` is given. */
  title: string
  heading?: Html
  /** What of the navigation it belongs to. */
  place?: Place
  /** Beside the heading: what can be done here. */
  actions?: Html
  body: Html
}

/** Sends a whole page; its status is the response's. */
export function sendPage(response: Response, page: Page): void {
  response.type('html').send(String(layout(page, visitOrNull(response))))
}

/**
 * Says what came of an order on the page that follows it.
 *
 * @param path of the console; a reload of that page does not repeat the order (303).
 */
export async function redirectWith(response: Response, path: string, visit: Visit, text: string): Promise<void> {
  await visit.tell({ kind: 'done', text })
  response.redirect(303, path)
}

function layout({ title, heading, place, actions, body }: Page, visit: Visit | null): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="htmx-config" content='{"extensions":"sse","includeIndicatorCSS":false,"morphIgnore":["data-htmx-powered","open"]}'>
<title>${title} · Callbox</title>
<link rel="icon" href="${assetUrl('icon.svg')}">
<link rel="stylesheet" href="${assetUrl('console.css')}">
<script src="${assetUrl('console.js')}" defer></script>
</head>
<body class="${visit ? 'signed-in' : 'signed-out'}">
<a class="skip" href="#main">Skip to the content</a>
${visit && masthead(visit, place)}
<main id="main" tabindex="-1">
${visit?.flash && notice(visit.flash.kind, visit.flash.text)}
<header class="page-head"><h1 dir="auto">${heading ?? title}</h1>${actions && html`<div class="actions">${actions}</div>`}</header>
${body}
</main>
</body>
</html>`
}

function masthead({ session }: Visit, current: Place | undefined): Html {
  const link = ({ id, name, path }: (typeof places)[number]): Html =>
    html`<li><a href="${path}"${id === current ? html` aria-current="page"` : ''}>${name}</a></li>`
  return html`<header class="masthead">
<a class="brand" href="/console"><img src="${assetUrl('icon.svg')}" alt="" width="20" height="20">Callbox</a>
<nav aria-label="Console"><ul>${places.map(link)}</ul></nav>
<form class="who" method="post" action="/console/sign-out">
<input type="hidden" name="csrf" value="${session.csrf}">
<span class="operator"><span class="visually-hidden">Signed in as </span><bdi>${session.operator}</bdi></span>
<button class="quiet">Sign out</button>
</form>
</header>`
}
