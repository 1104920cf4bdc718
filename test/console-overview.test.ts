import express from 'express'
import { afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { PartStreams } from '../src/admin/console/part-streams.ts'
import { problemAnswers } from '../src/admin/problems.ts'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { saveModelCheck } from '../src/models/model-checks.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { operatorToken } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { startConsole, type TestConsole, type Visitor } from './helpers/console.ts'
import { fillForConsole, hebrew } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { type EventStream, openEventStream } from './helpers/event-stream.ts'
import { eventually } from './helpers/eventually.ts'
import { startProcess } from './helpers/processes.ts'
import { changeRoute } from './helpers/routes.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
const opened: EventStream[] = []
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, routes, webhook_outbox, webhook_attempts')
})
afterEach(() => {
  for (const stream of opened.splice(0)) stream.leave()
})

const cookieOf = (visitor: Visitor): string => [...visitor.cookies].map((pair) => pair.join('=')).join('; ')

async function watch(url: string, cookie = ''): Promise<EventStream> {
  const stream = await openEventStream(url, { cookie })
  opened.push(stream)
  return stream
}
const watchOverview = (): Promise<EventStream> => watch(`${site.url}/console/overview/events`, cookieOf(night))

describe('the page', () => {
  test('says in words whether everything is all right, and where to look', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/' })
    await changeRoute(database, '1', `state = 'parked', state_reason = 'they move house', state_since = now()`)
    const { status, text } = await night.get('/console')
    expect(status).toBe(200)
    expect(text).toContain('Something is wrong now.')
    expect(text).toContain('No dispatcher is alive.')
    expect(text).toContain('<bdi>they move house</bdi>')
    expect(text).toContain('href="/console/routes?state=parked"')
    expect(text).toContain('hx-sse:connect="/console/overview/events"')
    const paused = await night.get('/console?live=off')
    expect(paused.text).toContain('No dispatcher is alive.')
    expect(paused.text).not.toContain('hx-sse')
  })

  test('says which models are used, and which of them shuts down', async () => {
    const date = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10)
    await saveModelCheck(database.knex, { use: 'transcribe', model: 'a<b>', known: null, shutdownDate: null })
    await saveModelCheck(database.knex, { use: 'summary', model: 'gpt-5-mini', known: true, shutdownDate: date })
    const { text } = await night.get('/console')
    expect(text).toContain(`The model gpt-5-mini shuts down on ${date}, in 20 days.`)
    expect(text).toContain(`transcribe <bdi>a&lt;b&gt;</bdi>, summary <bdi>gpt-5-mini</bdi> (until ${date})`)
    await database.pool.query('delete from callbox.model_checks')
  })

  test('shows what others wrote as text', async () => {
    await fillForConsole(database)
    onTestFinished(async () => {
      await emptyTables(database, 'calls, call_steps, twilio_callbacks, dispatchers, phone_numbers')
    })
    const { text } = await night.get('/console')
    expect(text).not.toMatch(/<script>|<img src=x/)
    // The reason of a route and the error of a step.
    expect(text.match(/&lt;script&gt;alert\(1\)&lt;\/script&gt;/g)).toHaveLength(2)
    expect(text).not.toContain(hebrew)
  })
})

describe('the stream', () => {
  test('tells what changes, to each who looks', async () => {
    const streams = [await watchOverview(), await watchOverview()]
    const [first] = streams
    expect(first?.status).toBe(200)
    expect(first?.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(first?.headers.get('cache-control')).toBe('no-store')
    for (const stream of streams) await stream.until(/^data: <section class="verdict[\s\S]+\n\n/)
    await putBusiness(database, '77', { inbound: 'https://e.example/' })
    await changeRoute(database, '77', `state = 'failing', state_reason = 'two\nlines', state_since = now()`)
    for (const stream of streams) await stream.until(/routes\/77\/inbound[\s\S]+two\ndata: lines[\s\S]+\n\n/)
  })

  test('is for those who are signed in', async () => {
    const stream = await watch(`${site.url}/console/overview/events`)
    expect(stream.status).toBe(401)
  })

  test('ends when the console stops, and none begins after that', async () => {
    const other = await startConsole(database)
    const cookie = cookieOf(await other.signedIn())
    const stream = await watch(`${other.url}/console/overview/events`, cookie)
    await stream.until(/\n\n/)
    other.stop()
    await stream.ended()
    expect((await watch(`${other.url}/console/overview/events`, cookie)).status).toBe(503)
  })

  test('ends with its process, which does not wait for those who look', async () => {
    const settings = { PORT: '0', ADMIN_TOKEN: operatorToken }
    const service = startProcess(['api'], database.url, settings)
    const url = `http://127.0.0.1:${(await service.untilLogged('service.listening'))['port']}`
    await service.ready()
    const signedIn = await fetch(`${url}/console/sign-in`, {
      method: 'POST',
      headers: { origin: url },
      body: new URLSearchParams({ token: operatorToken }),
      redirect: 'manual',
    })
    const cookie = signedIn.headers.getSetCookie()[0]?.split(';')[0] ?? ''
    const stream = await watch(`${url}/console/overview/events`, cookie)
    await stream.until(/\n\n/)
    service.signal('SIGTERM')
    await stream.ended()
    expect(await service.exited()).toBe(0)
  })
})

describe('streams of a part', () => {
  async function serve(make: () => Promise<string>, endsAt = Date.now() + 3_600_000) {
    const streams = new PartStreams(make)
    const app = express()
    app.get('/:session', (request, response) => streams.add(response, { id: request.params.session, endsAt }))
    app.use(problemAnswers(createLogger('silent', 'test')))
    const server = await startLoopbackServer(app)
    onTestFinished(async () => {
      streams.stop()
      await server.close()
    })
    return `${server.url}/night`
  }

  test('share one reading', async () => {
    let made = 0
    const url = await serve(async () => `part ${++made}`)
    const streams = await Promise.all([1, 2, 3].map(() => watch(url)))
    for (const stream of streams) await stream.until(/data: part 2\n\n/)
    expect(made).toBe(2)
  })

  test('read nothing when nobody looks', async () => {
    let made = 0
    const url = await serve(async () => `part ${++made}`)
    const stream = await watch(url)
    await stream.until(/data: part 1\n\n/)
    stream.leave()
    // Another one, that goes on at the same pace, tells that the time for more has passed.
    let other = 0
    const clock = await watch(await serve(async () => `part ${++other}`))
    await clock.until(/data: part 3\n\n/)
    expect(made).toBe(1)
    await (await watch(url)).until(/data: part 2\n\n/)
  })

  test('end when the session does, and say so', async () => {
    const url = await serve(async () => 'part', Date.now() + 100)
    expect(await (await watch(url)).ended()).toMatch(/event: over\ndata: over\n\n$/)
  })

  test.each([
    ['100', 100, (n: number) => `of-${n}`],
    ['20 of one session', 20, () => 'day'],
  ])('are no more than %s', async (_, most, sessionOf) => {
    const own = await serve(async () => 'part')
    const urlOf = (n: number): string => new URL(sessionOf(n), own).href
    const streams = await Promise.all(Array.from({ length: most }, (_, n) => watch(urlOf(n))))
    expect(streams.every(({ status }) => status === 200)).toBe(true)
    const refused = await watch(urlOf(most))
    expect(refused.status).toBe(503)
    expect(refused.headers.get('retry-after')).toBe('30')
    if (most < 100) expect((await watch(own)).status).toBe(200)
    streams[0]?.leave()
    await eventually('a place is free again', async () => (await watch(urlOf(most))).status === 200)
  })
})
