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

const paths = ['/webhook/call_status', '/webhook/recording_status'] as const
/** Twilio's callbacks have about 1 KB. */
const maxBody = '64kb'

interface Refusal {
  status: keyof typeof titles
  result: 'forged' | 'invalid' | 'unavailable' | 'wrong_method' | 'unknown_path'
  detail: string
}

const titles = {
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  413: 'Content Too Large',
  503: 'Service Unavailable',
}

/**
 * Twilio's callbacks: 403 for a forged one, 204 once it is stored in the database or, while that is away, on disk,
 * whatever its content: a nonsensical one is kept unmatched, with a reason. 503 if both fail: Twilio retries it, as
 * configured in README.md. A callback with another method or to another path is a mistake in Twilio's settings: it is
 * refused, logged and counted, so that it does not go unnoticed.
 */
export function callbackRouter(deps: RouterDeps): express.Router {
  const router = express.Router()
  const readBody = express.raw({ type: () => true, limit: maxBody })
  receive('call_status')
  receive('recording_status')
  return router

  function receive(kind: CallbackKind): void {
    const path = `/webhook/${kind}`
    router.post(path, readBody, async (request, response) => {
      const taken = await take(kind, request)
      if (typeof taken !== 'string') return refuse(deps, kind, response, taken)
      deps.metrics.callbacks.inc({ kind, result: taken })
      response.status(204).end()
    })
    router.all(path, (request, response) => {
      const detail = `method ${request.method} is not allowed; use POST, a setting of the callback at Twilio`
      response.set('allow', 'POST')
      refuse(deps, kind, response, { status: 405, result: 'wrong_method', detail })
    })
    const unreadable: express.ErrorRequestHandler = (error, _request, response, _next) => {
      const tooLong = error instanceof Error && 'status' in error && error.status === 413
      const detail = tooLong ? `the body is over ${maxBody}` : 'the body cannot be read'
      refuse(deps, kind, response, { status: tooLong ? 413 : 400, result: 'invalid', detail })
    }
    router.use(path, unreadable)
  }

  async function take(kind: CallbackKind, request: express.Request): Promise<Refusal | Taken> {
    const body = textOf(request.body)
    if (body === null) return { status: 400, result: 'invalid', detail: 'the body is not valid UTF-8' }
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
}

/**
 * Refuses callbacks to other paths: requests below `/webhook` or with a Twilio signature. Mount it after all routes that
 * Twilio calls.
 */
export function strayCallbacks(deps: Pick<RouterDeps, 'log' | 'metrics'>): express.RequestHandler {
  return (request, response, next) => {
    const isMeant = /^\/+webhooks?(\/|$)/i.test(request.path) || request.get('x-twilio-signature') !== undefined
    if (!isMeant) return next()
    const detail = `no callbacks are accepted at this path; expected ${paths.join(' or ')}`
    refuse(deps, 'unknown', response, { status: 404, result: 'unknown_path', detail })
  }
}

function refuse(
  { log, metrics }: Pick<RouterDeps, 'log' | 'metrics'>,
  kind: CallbackKind | 'unknown',
  response: express.Response,
  { status, result, detail }: Refusal,
): void {
  metrics.callbacks.inc({ kind, result })
  log.warn({ event: 'callback.refused', kind, result, status, reason: detail }, `callback refused: ${detail}`)
  if (status === 503) response.set('retry-after', '5')
  const problem = { type: 'about:blank', title: titles[status], status, detail }
  response.status(status).type('application/problem+json').send(JSON.stringify(problem))
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
