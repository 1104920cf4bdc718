import express from 'express'
import type { Logger } from '../../telemetry/logger.ts'
import type { OverviewReader } from '../overview-reader.ts'
import type { Overview } from '../schemas/overview.ts'
import { html } from './html.ts'
import { overviewPart } from './overview-view.ts'
import { sendPage } from './page.ts'
import { PartStreams } from './part-streams.ts'
import { visitOf } from './visit.ts'

/** `/console`: is everything all right? Live, unless `?live=off`. */
export function overviewPages(reader: OverviewReader, log: Logger): { router: express.Router; stop(): void } {
  const router = express.Router()
  let latest: Overview | null = null
  const streams = new PartStreams(async () => {
    try {
      latest = await reader.read()
      return String(overviewPart(latest))
    } catch (error) {
      log.warn({ event: 'console.overview_failed', err: error }, 'the overview could not be read')
      return String(overviewPart(latest, 'The database does not answer. What follows is the last that is known.'))
    }
  })

  router.get('/', async (request, response) => {
    const part = overviewPart(await reader.read())
    const isLive = request.query['live'] !== 'off'
    sendPage(response, {
      title: 'Overview',
      place: 'overview',
      actions: isLive
        ? html`<span id="live" class="muted" role="status"></span><a class="button" href="/console?live=off">Pause</a>`
        : html`<span class="muted">Paused</span><a class="button" href="/console">Go live</a>`,
      body: isLive
        ? html`<noscript><p class="hint">Reload the page to see what has changed.</p></noscript>
<div id="overview" class="stack" hx-sse:connect="/console/overview/events" hx-sse:close="over" hx-target="this"
 hx-swap="innerMorph" hx-trigger="load, every 5s" hx-config='{"sse":{"reconnectMaxDelay":10000}}'
 hx-status:4xx="swap:none" hx-status:5xx="swap:none">${part}</div>`
        : html`<div class="stack">${part}</div>`,
    })
  })

  router.get('/overview/events', (_request, response) => {
    streams.add(response, visitOf(response).session)
  })
  return { router, stop: () => streams.stop() }
}
