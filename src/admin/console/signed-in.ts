import type { Request, RequestHandler, Response } from 'express'
import { Problem } from '../problems.ts'
import type { Cookies } from './cookies.ts'
import { html } from './html.ts'
import type { Sessions } from './session.ts'
import { setVisit, visitOf } from './visit.ts'

/** Reads the session of a request; without one, a page leads to the sign-in and back, anything else is refused (401). */
export function signedInOnly(sessions: Sessions, cookies: Cookies): RequestHandler {
  return async (request, response, next) => {
    const cookie = cookies.read(request, 'session')
    const session = await sessions.read(cookie)
    if (session === null) {
      if (cookie !== undefined) cookies.clear(response, 'session')
      if (isPageVisit(request)) {
        if (cookie === undefined && isFromElsewhere(request)) return sendStep(response, request.originalUrl)
        const back = request.originalUrl === '/console' ? '' : `?next=${encodeURIComponent(request.originalUrl)}`
        return response.redirect(303, `/console/sign-in${back}`)
      }
      throw new Problem(401, 'your session is over; sign in again', [], { 'HX-Refresh': 'true' })
    }
    const flashCookie = cookies.read(request, 'flash')
    const isShown = flashCookie !== undefined && isPageVisit(request)
    if (isShown) cookies.clear(response, 'flash')
    setVisit(response, {
      session,
      flash: isShown ? await sessions.readFlash(session, flashCookie) : null,
      async tell(flash) {
        cookies.setFlash(response, await sessions.sealFlash(session, flash))
      },
    })
    next()
  }
}

/** Browsers keep a SameSite=Strict cookie to themselves when a link of another site, such as Grafana's, leads here. */
const isFromElsewhere = (request: Request): boolean =>
  ['cross-site', 'same-site'].includes(request.get('sec-fetch-site') ?? '')

/** A page that opens the one that was asked for, now from our own site, so that the cookie comes along. */
function sendStep(response: Response, path: string): void {
  const page = html`<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Callbox</title>
<meta http-equiv="refresh" content="0;url=${path}"></head><body><a href="${path}">Open the console</a></body></html>`
  response.type('html').send(String(page))
}

/** A page that a person opens, and not a part of one that a script fetches. */
const isPageVisit = (request: Request): boolean =>
  request.method === 'GET' && request.get('hx-request') === undefined && !!request.accepts('html')

/**
 * Lets an order through only with the secret of its session, which our own forms carry, and takes it out of the body.
 *
 * @throws {Problem} 403
 */
export function genuineOnly(sessions: Sessions): RequestHandler {
  return (request, response, next) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      const { csrf, ...fields } = (request.body ?? {}) as Record<string, unknown>
      if (!sessions.isCsrf(visitOf(response).session, csrf)) {
        throw new Problem(403, 'the form is from another session; go back, reload the page and try again')
      }
      request.body = fields
    }
    next()
  }
}
