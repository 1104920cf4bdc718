import { STATUS_CODES } from 'node:http'
import express, { type ErrorRequestHandler, type RequestHandler, type Response } from 'express'
import { isDatabaseAway } from '../database/away.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { ProblemDetails, ProblemField } from './schemas/problem.ts'

/** An answer that is an error, as problem details (RFC 9457). Thrown by a handler, written by {@link problemAnswers}. */
export class Problem extends Error {
  override name = 'Problem'
  readonly status: number
  readonly fields: ProblemField[]
  readonly headers: Record<string, string>

  /** @param fields what is wrong with each field of the request. */
  constructor(status: number, detail: string, fields: ProblemField[] = [], headers: Record<string, string> = {}) {
    super(detail)
    this.status = status
    this.fields = fields
    this.headers = headers
  }
}

/** What express's own parsers refuse, in our words: theirs quote the body. */
const refusals: Record<string, string> = {
  'entity.parse.failed': 'the body is not valid JSON, or is neither an object nor an array',
  'entity.too.large': 'the body is over 256 KB',
  'encoding.unsupported': 'the content encoding is not supported; send gzip, deflate, br or none',
}

/** The last handler of a router: every error as problem details, and only what we did not expect in the log. */
export function problemAnswers(log: Logger): ErrorRequestHandler {
  return answerErrors(sendProblem, (fields, level) => {
    log[level]({ event: 'admin.failed', ...fields }, 'an admin request could not be answered')
  })
}

/** @param tell called for what is our own fault, or that of the database. */
export function answerErrors(
  send: (response: Response, problem: Problem) => void,
  tell: (fields: { method: string; err: unknown }, level: 'warn' | 'error') => void,
): ErrorRequestHandler {
  return (error: unknown, request, response, next) => {
    if (response.headersSent) return next(error)
    const problem = toProblem(error)
    if (problem.status >= 500) tell({ method: request.method, err: error }, problem.status === 503 ? 'warn' : 'error')
    send(response, problem)
  }
}

/** What an error means to those who asked. */
function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (isDatabaseAway(error)) {
    return new Problem(503, 'the database does not answer; try again', [], { 'Retry-After': '1' })
  }
  if (!(error instanceof Error)) return new Problem(500, 'an error that was not expected; the log has it')
  if ('code' in error && typeof error.code === 'string' && /^22\w{3}$/.test(error.code)) {
    return new Problem(400, 'a value of the request is outside of what the database can hold')
  }
  if ('status' in error && typeof error.status === 'number' && error.status >= 400 && error.status < 500) {
    const type = 'type' in error && typeof error.type === 'string' ? error.type : ''
    return new Problem(error.status, refusals[type] ?? 'the request cannot be read')
  }
  return new Problem(500, 'an error that was not expected; the log has it')
}

function sendProblem(response: Response, problem: Problem): void {
  const body: ProblemDetails = {
    type: 'about:blank',
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    detail: problem.message,
    ...(problem.fields.length === 0 ? {} : { errors: problem.fields }),
  }
  response.status(problem.status).set(problem.headers)
  response.type('application/problem+json').send(JSON.stringify(body))
}

/** The last handlers of a port: 404 for every other path, and errors as problem details. */
export function noSuchPath(log: Logger): express.Router {
  const router = express.Router()
  router.use(() => {
    throw new Problem(404, 'there is no such path')
  })
  return router.use(problemAnswers(log))
}

/** For `router.all` after the methods that a path has. @param allowed as in the header `Allow`: `GET, PUT`. */
export function onlyMethods(allowed: string): RequestHandler {
  return (request) => {
    throw new Problem(405, `${request.method} is not possible here; ${allowed} is`, [], { Allow: allowed })
  }
}
