import express from 'express'
import type { Config } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { CallbackKind } from './callback.ts'
import type { CallbackIntake, Taken } from './callback-intake.ts'
import { whyForged } from './signature.ts'

interface RouterDeps {
  config: Config
  log: Logger
  metrics: Metrics
  intake: CallbackIntake
}

/** Twilio's callbacks have about 1 KB. */
const longestBody = '64kb'

type Refusal = { status: 400 | 403 | 413 | 503; result: 'forged' | 'invalid' | 'unavailable'; detail: string }

const titles = { 400: 'Bad Request', 403: 'Forbidden', 413: 'Content Too Large', 503: 'Service Unavailable' }

/**
 * Twilio's callbacks: 403 for a forged one, 204 once it is stored in the database or, while that is away, on disk,
 * whatever it says: what makes no sense is kept unmatched, with a reason. 503 if neither takes it: Twilio repeats it, as the
 * README has it configured.
 */
export function callbackRouter(deps: RouterDeps): express.Router {
  const router = express.Router()
  const readBody = express.raw({ type: () => true, limit: longestBody })
  receive('call_status')
  receive('recording_status')
  return router

  function receive(kind: CallbackKind): void {
    const path = `/webhook/${kind}`
    router.post(path, readBody, async (request, response) => {
      const taken = await take(kind, request)
      if (typeof taken !== 'string') return refuse(kind, response, taken)
      deps.metrics.callbacks.inc({ kind, result: taken })
      response.status(204).end()
    })
    const unreadable: express.ErrorRequestHandler = (error, _request, response, _next) => {
      const tooLong = error instanceof Error && 'status' in error && error.status === 413
      const detail = tooLong ? `the body is over ${longestBody}` : 'the body cannot be read'
      refuse(kind, response, { status: tooLong ? 413 : 400, result: 'invalid', detail })
    }
    router.use(path, unreadable)
  }

  async function take(kind: CallbackKind, request: express.Request): Promise<Refusal | Taken> {
    const body = textOf(request.body)
    if (body === null) return { status: 400, result: 'invalid', detail: 'the body is no UTF-8 text' }
    const { originalUrl } = request
    const signature = request.get('x-twilio-signature')
    const forged = whyForged(deps.config.twilio.authTokens, deps.config.publicUrl, { originalUrl, body, signature })
    if (forged !== null) return { status: 403, result: 'forged', detail: forged }
    const questionMark = originalUrl.indexOf('?')
    const query = questionMark < 0 ? '' : originalUrl.slice(questionMark + 1)
    try {
      return await deps.intake.take(kind, query, body)
    } catch (err) {
      deps.log.error({ event: 'callback.not_stored', kind, err }, 'a callback could not be stored')
      return { status: 503, result: 'unavailable', detail: 'the callback could not be stored; send it again' }
    }
  }

  function refuse(kind: CallbackKind, response: express.Response, refusal: Refusal): void {
    const { status, result, detail } = refusal
    deps.metrics.callbacks.inc({ kind, result })
    deps.log.warn({ event: 'callback.refused', kind, result, status, reason: detail }, `callback refused: ${detail}`)
    if (status === 503) response.set('retry-after', '5')
    const problem = { type: 'about:blank', title: titles[status], status, detail }
    response.status(status).type('application/problem+json').send(JSON.stringify(problem))
  }
}

/** A form's body is ASCII; more than that is taken as long as PostgreSQL can keep it as it came. */
function textOf(body: unknown): string | null {
  if (!Buffer.isBuffer(body)) return ''
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}
