import express from 'express'
import { z } from 'zod'
import type { Logger } from '../../telemetry/logger.ts'
import type { SignInLimit } from '../sign-in-limit.ts'
import type { Cookies } from './cookies.ts'
import { html } from './html.ts'
import { notice } from './notice.ts'
import { sendPage } from './page.ts'
import type { Sessions } from './session.ts'

/** Over any token; only what is typed in is cut short by it. */
const longestToken = 1_000
const form = z.object({ token: z.string().max(longestToken), next: z.string().catch('') })

/** `/sign-in`, and `/sign-out`, which works without a session too. */
export function signInRoutes(signIns: SignInLimit, sessions: Sessions, cookies: Cookies, log: Logger): express.Router {
  const router = express.Router()

  router.get('/sign-in', async (request, response) => {
    const next = ownPath(request.query['next'])
    if (await sessions.read(cookies.read(request, 'session'))) return response.redirect(303, next)
    sendSignIn(response, next)
  })

  router.post('/sign-in', async (request, response) => {
    const given = form.safeParse(request.body ?? {})
    const next = ownPath(given.data?.next)
    const notKept = cookies.whyNotKept(request)
    if (notKept !== null) {
      response.status(400)
      return sendSignIn(response, next, notKept)
    }
    const token = given.data?.token.trim() ?? ''
    const operator = await signIns.operatorFor(token, request)
    const cookie = operator && (await sessions.begin(token))
    if (cookie === null) {
      log.warn({ event: 'admin.sign_in_refused' }, 'a sign-in to the console was refused')
      response.status(401)
      return sendSignIn(response, next, 'This is not one of the tokens in ADMIN_TOKEN.')
    }
    cookies.setSession(response, cookie)
    log.info({ event: 'admin.signed_in', operator }, 'an operator signed in to the console')
    response.redirect(303, next)
  })

  router.post('/sign-out', (_request, response) => {
    cookies.clear(response, 'session')
    cookies.clear(response, 'flash')
    response.redirect(303, '/console/sign-in')
  })
  return router
}

function sendSignIn(response: express.Response, next: string, refusal?: string): void {
  sendPage(response, {
    title: 'Sign in',
    heading: html`Sign in to Callbox`,
    body: html`<form class="sign-in" method="post" action="/console/sign-in">
${refusal && notice('failed', refusal)}
<input type="hidden" name="next" value="${next}">
<label for="token">Admin token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus spellcheck="false"
 maxlength="${longestToken}" aria-describedby="token-hint">
<p class="hint" id="token-hint">One of the tokens in <code>ADMIN_TOKEN</code>. <code>npm start</code> without it makes one, and says where it is.</p>
<button class="primary">Sign in</button>
</form>`,
  })
}

/** Where to go after the sign-in: a page of this console, whatever the address says. */
function ownPath(next: unknown): string {
  const home = '/console'
  const base = 'http://console.invalid'
  if (typeof next !== 'string' || !URL.canParse(next, base)) return home
  const { origin, pathname, search } = new URL(next, base)
  return origin === base && /^\/console(\/|$)/.test(pathname) && pathname !== '/console/sign-in'
    ? pathname + search
    : home
}
