import express from 'express'
import { pino } from 'pino'
import { OverviewReader } from '../../src/admin/overview-reader.ts'
import { adminRouter } from '../../src/admin/router.ts'
import { SignInLimit } from '../../src/admin/sign-in-limit.ts'
import { trustedProxies } from '../../src/admin/trusted-proxies.ts'
import { RecordingQueue } from '../../src/calls/recording-queue.ts'
import { HintSender } from '../../src/database/hints.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { Sealer } from '../../src/database/sealing.ts'
import { startLoopbackServer } from '../../src/demo/loopback-server.ts'
import { describeError } from '../../src/telemetry/logger.ts'
import { atEnd } from './at-end.ts'
import type { TestDatabase } from './database.ts'
import { describedAnswers } from './described-answers.ts'

export interface Answer {
  status: number
  headers: Headers
  text: string
  /** The body as JSON; `null` for an empty one. */
  // biome-ignore lint/suspicious/noExplicitAny: a test says of each answer what it expects to find in it.
  json: any
}

export interface AdminApi {
  url: string
  sealer: Sealer
  /** Every log line so far. */
  logs: string[]
  /** One request with the operator's token; a body that is not a string is sent as JSON. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
}

export const operatorToken = 'night-shift-token'
export const otherToken = 'the-day-shift-token'

/** The admin API over HTTP on 127.0.0.1, closed when the calling test file is done. */
export async function startAdminApi(database: TestDatabase): Promise<AdminApi> {
  const logs: string[] = []
  const options = { level: 'debug', serializers: { err: describeError } }
  const log = pino(options, { write: (line: string) => void logs.push(line) })
  const queue = new RecordingQueue(database.url, defaultSchema, log)
  await queue.start()
  const sealer = new Sealer(Buffer.alloc(32, 7))
  const hints = new HintSender(database.pool, defaultSchema)
  const adminTokens = [
    { name: 'day', token: otherToken },
    { name: 'night', token: operatorToken },
  ]
  const app = express()
    .disable('x-powered-by')
    .disable('etag')
    .set('trust proxy', trustedProxies(['127.0.0.0/8', '10.0.0.1']))
  const signIns = new SignInLimit(adminTokens, log)
  const overview = new OverviewReader(database.knex)
  overview.start()
  app.use('/admin', describedAnswers)
  app.use(adminRouter({ signIns, overview, knex: database.knex, sealer, queue, hints, log }))
  const server = await startLoopbackServer(app)
  atEnd(async () => {
    overview.stop()
    await server.close()
    await hints.flush()
    await queue.stop()
  })
  return {
    url: server.url,
    sealer,
    logs,
    async send(method, path, body, headers = {}) {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${operatorToken}`, 'content-type': 'application/json', ...headers },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, json: text === '' ? null : JSON.parse(text) }
    },
  }
}
