import express from 'express'
import { pino } from 'pino'
import { type ConsoleParts, createConsole } from '../../src/admin/console/console.ts'
import { OverviewReader } from '../../src/admin/overview-reader.ts'
import { SignInLimit } from '../../src/admin/sign-in-limit.ts'
import { RecordingQueue } from '../../src/calls/recording-queue.ts'
import { HintSender } from '../../src/database/hints.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { startLoopbackServer } from '../../src/demo/loopback-server.ts'
import { describeError } from '../../src/telemetry/logger.ts'
import { operatorToken, otherToken } from './admin-api.ts'
import { atEnd } from './at-end.ts'
import { sealer } from './businesses.ts'
import type { TestDatabase } from './database.ts'

export interface PageAnswer {
  status: number
  headers: Headers
  text: string
}

/** A browser without scripts: it keeps cookies, says where its orders come from, and follows nothing by itself. */
export interface Visitor {
  cookies: Map<string, string>
  get(path: string, headers?: Record<string, string>): Promise<PageAnswer>
  /** Sends a form as one of our pages would: with the secret of the session, if there is one. */
  post(path: string, fields?: Record<string, string>, headers?: Record<string, string>): Promise<PageAnswer>
  /** Follows the redirect of an order, or fails. */
  follow(answer: PageAnswer): Promise<PageAnswer>
}

export interface TestConsole {
  url: string
  /** Every log line so far. */
  logs: string[]
  /** Ends what streams, as the process does before it stops listening. */
  stop(): void
  visitor(): Visitor
  /** @param token one of `ADMIN_TOKEN`; the night shift's unless given. */
  signedIn(token?: string): Promise<Visitor>
}

export const consoleTokens = [
  { name: 'day', token: otherToken },
  { name: 'night', token: operatorToken },
]

/** The console over HTTP on 127.0.0.1, closed when the calling test file is done. */
export async function startConsole(
  database: TestDatabase,
  settings: Partial<ConsoleParts['config']> = {},
): Promise<TestConsole> {
  const logs: string[] = []
  const options = { level: 'debug', serializers: { err: describeError } }
  const log = pino(options, { write: (line: string) => void logs.push(line) })
  const queue = new RecordingQueue(database.url, defaultSchema, log)
  await queue.start()
  const hints = new HintSender(database.pool, defaultSchema)
  const config = { adminTokens: consoleTokens, publicUrl: 'http://localhost:8080', ...settings }
  const signIns = new SignInLimit(config.adminTokens, log)
  const app = express().disable('x-powered-by').disable('etag')
  const overview = new OverviewReader(database.knex)
  overview.start()
  const { router, stop } = createConsole({ config, signIns, overview, knex: database.knex, sealer, queue, hints, log })
  app.use(router)
  const server = await startLoopbackServer(app)
  atEnd(async () => {
    stop()
    overview.stop()
    await server.close()
    await hints.flush()
    await queue.stop()
  })
  const visitor = (): Visitor => makeVisitor(server.url)
  return {
    url: server.url,
    logs,
    stop,
    visitor,
    async signedIn(token = operatorToken) {
      const one = visitor()
      const answer = await one.post('/console/sign-in', { token })
      if (answer.status !== 303) throw new Error(`the sign-in was answered with ${answer.status}`)
      return one
    },
  }
}

function makeVisitor(origin: string): Visitor {
  const cookies = new Map<string, string>()
  let csrf: string | undefined
  const send = async (path: string, init: RequestInit & { headers: Record<string, string> }): Promise<PageAnswer> => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { accept: 'text/html', ...(cookie === '' ? {} : { cookie }), ...init.headers }
    const response = await fetch(`${origin}${path}`, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) keep(cookies, line)
    const text = await response.text()
    csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? csrf
    return { status: response.status, headers: response.headers, text }
  }
  const visitor: Visitor = {
    cookies,
    get: (path, headers = {}) => send(path, { method: 'GET', headers }),
    async post(path, fields = {}, headers = {}) {
      if (csrf === undefined && cookies.size > 0) await visitor.get('/console/nothing')
      const body = new URLSearchParams({ ...(csrf === undefined ? {} : { csrf }), ...fields })
      return send(path, { method: 'POST', body, headers: { origin, ...headers } })
    },
    async follow(answer) {
      const location = answer.headers.get('location')
      if (answer.status !== 303 || location === null)
        throw new Error(`no redirect, but ${answer.status}: ${answer.text}`)
      return visitor.get(location)
    },
  }
  return visitor
}

function keep(cookies: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split('; ')
  const [name = '', value = ''] = pair.split(/=(.*)/s)
  const isGone = attributes.some((attribute) => /^expires=Thu, 01 Jan 1970/i.test(attribute))
  if (isGone) cookies.delete(name)
  else cookies.set(name, value)
}

/** What a reader sees of markup: without tags, and with its entities as what they stand for. */
export function textOf(markup: string): string {
  const signs: Record<string, string> = { lt: '<', gt: '>', quot: '"', '#39': "'", amp: '&' }
  return markup.replaceAll(/<[^>]*>/g, '').replaceAll(/&(lt|gt|quot|#39|amp);/g, (_, name: string) => signs[name] ?? '')
}
