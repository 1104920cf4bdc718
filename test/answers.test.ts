import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher, startTestDispatcher, type TestDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { hostileAnswers } from './helpers/hostile-answers.ts'
import { type AttemptRow, attemptsOf, type DeliveryRow, deliveryOf, enqueue, untilStatus } from './helpers/outbox.ts'
import { type RawAnswer, type RawEndpoint, startRawEndpoint } from './helpers/raw-endpoint.ts'

const hourMs = 3_600_000

let database: TestDatabase
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

let lastBusiness = 1_000
/** A business whose inbound calls go to `url`, and its secret. */
async function businessAt(url: string): Promise<{ businessId: string; secret: string }> {
  lastBusiness += 1
  const businessId = String(lastBusiness)
  return { businessId, secret: await putBusiness(database, businessId, { inbound: url }) }
}

function untilAttempted(id: string): Promise<AttemptRow> {
  return eventually(`${id} is attempted`, async () => (await attemptsOf(database, id))[0] ?? false)
}

/** Enqueues one delivery to `url` and waits for what its first attempt makes of it. */
async function tryOnce(url: string): Promise<{ attempt: AttemptRow; row: DeliveryRow }> {
  const { businessId } = await businessAt(url)
  const id = await enqueue(database, businessId, 'CA1')
  return { attempt: await untilAttempted(id), row: await deliveryOf(database, id) }
}

describe('one batch of every answer', () => {
  const neighbours = 20
  const ids = new Map<string, string>()
  const redirects = [301, 302, 303, 307, 308]
  let endpoint: RawEndpoint

  beforeAll(async () => {
    const answers = new Map<string, RawAnswer>()
    for (const [name, { answer }] of Object.entries(hostileAnswers)) answers.set(`/${name}`, answer)
    for (const status of redirects) {
      const moved = `HTTP/1.1 ${status} Moved\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n`
      answers.set(`/moved-${status}`, (socket) => socket.write(moved))
    }
    endpoint = await startRawEndpoint(answers)
    const businesses = new Map<string, string>()
    for (const path of answers.keys()) {
      businesses.set(path.slice(1), (await businessAt(`${endpoint.url}${path}`)).businessId)
    }
    for (let n = 0; n < neighbours; n += 1) {
      const { businessId, secret } = await businessAt(`${receiver.url}/neighbour-${n}`)
      receiver.endpoint(`/neighbour-${n}`, secret)
      businesses.set(`neighbour-${n}`, businessId)
    }
    const client = await database.pool.connect()
    await client.query('begin')
    for (const [name, businessId] of businesses) ids.set(name, await enqueue({ pool: client }, businessId, 'CA1'))
    await client.query('commit')
    client.release()
    const settings = { WEBHOOK_TIMEOUT: '4s', WEBHOOK_RETRY_SCHEDULE: '1h' }
    const dispatcher = startTestDispatcher(database.url, settings)
    await Promise.all([...ids.values()].map((id) => untilAttempted(id)))
    await dispatcher.stop()
  })
  afterAll(() => endpoint.close())

  const outcomeOf = async (name: string) => {
    const id = ids.get(name) ?? ''
    return { row: await deliveryOf(database, id), attempts: await attemptsOf(database, id) }
  }

  test.each(Object.entries(hostileAnswers))('%s', async (name, expected) => {
    const { row, attempts } = await outcomeOf(name)
    const [attempt] = attempts
    expect(attempts.length).toBe(1)
    expect(attempt).toMatchObject({
      number: 1,
      result: expected.result,
      status_code: expected.status ?? null,
      url: `${endpoint.url}/${name}`,
    })
    if (expected.excerpt !== undefined) expect(attempt?.response_excerpt).toEqual(expected.excerpt)
    if (expected.result === 'ok') {
      expect(attempt?.error).toBeNull()
      expect(row).toMatchObject({ status: 'delivered', reason: null, attempt_count: 1 })
      return
    }
    if (expected.result !== 'http_error') expect(attempt?.error).toMatch(/\w/)
    if (expected.status === 410) {
      expect(row).toMatchObject({ status: 'pending', reason: null, attempt_count: 1, step: 0, version: 1 })
      return
    }
    expect(row).toMatchObject({ status: 'pending', reason: null, attempt_count: 1, step: 1, version: 1 })
    // The schedule's hour and up to 10 % of jitter, less what has passed since.
    expect(row.due_in_ms).toBeGreaterThan(hourMs - 60_000)
    expect(row.due_in_ms).toBeLessThan(hourMs * 1.1)
  })

  test.each(redirects)('%d is a failure and is not followed', async (status) => {
    const { row, attempts } = await outcomeOf(`moved-${status}`)
    expect(attempts).toMatchObject([
      { result: 'http_error', status_code: status, error: 'redirects are not followed', response_excerpt: null },
    ])
    expect(row).toMatchObject({ status: 'pending', step: 1 })
    expect(endpoint.requests).not.toContain('/elsewhere')
  })

  test('neighbours in the same batch are unharmed', async () => {
    for (let n = 0; n < neighbours; n += 1) {
      const { row, attempts } = await outcomeOf(`neighbour-${n}`)
      expect(row).toMatchObject({ status: 'delivered', attempt_count: 1 })
      expect(attempts).toMatchObject([{ result: 'ok', status_code: 200 }])
    }
  })

  test('each was posted once', () => {
    const hostile = [...ids.keys()].filter((name) => !name.startsWith('neighbour'))
    expect(endpoint.requests.toSorted()).toEqual(hostile.map((name) => `/${name}`).toSorted())
  })
})

describe('no answer at all', () => {
  // RFC 6761: `.invalid` never resolves. A resolver that is out of reach takes its time to say so.
  const settings = { WEBHOOK_RETRY_SCHEDULE: '1h', WEBHOOK_TIMEOUT: '50s' }
  let dispatcher: TestDispatcher
  beforeAll(() => {
    dispatcher = startTestDispatcher(database.url, settings)
  })
  afterAll(() => dispatcher.stop())

  test.concurrent('connection refused', async () => {
    const closed = await startRawEndpoint(new Map())
    await closed.close()
    const { attempt, row } = await tryOnce(closed.url)
    expect(attempt).toMatchObject({ result: 'connect', status_code: null, response_excerpt: null })
    expect(attempt.error).toContain('ECONNREFUSED')
    expect(row).toMatchObject({ status: 'pending', step: 1 })
  })

  test.concurrent('a name that does not resolve', async () => {
    const { attempt, row } = await tryOnce('http://no-such-name.invalid/hook')
    expect(attempt).toMatchObject({ result: 'dns', status_code: null, response_excerpt: null })
    expect(row).toMatchObject({ status: 'pending', step: 1 })
  })

  test.concurrent('a certificate that nobody vouches for', async ({ onTestFinished }) => {
    const read = (name: string) => readFileSync(new URL(`./fixtures/self-signed-${name}.pem`, import.meta.url))
    let requests = 0
    const server = createServer({ key: read('key'), cert: read('cert') }, (_request, response) => {
      requests += 1
      response.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { attempt, row } = await tryOnce(`https://127.0.0.1:${(server.address() as AddressInfo).port}/hook`)
    expect(attempt).toMatchObject({ result: 'tls', status_code: null })
    expect(attempt.error).toBe('self-signed certificate')
    expect(row).toMatchObject({ status: 'pending', step: 1 })
    expect(requests).toBe(0)
  })

  test.concurrent('plain HTTP where TLS is expected', async () => {
    const { attempt } = await tryOnce(receiver.url.replace('http:', 'https:'))
    expect(attempt).toMatchObject({ result: 'tls', status_code: null, error: 'wrong version number' })
  })
})

describe('what cannot be sent at all', () => {
  test('a header that would end its line, a URL that is none', async () => {
    runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
    const url = `${receiver.url}/unsendable`
    const headers = { 'x-note': 'a\r\nx-injected: b' }
    await putBusiness(database, '900', { inbound: url, headers })
    await putBusiness(database, '901', { inbound: 'http://' })
    for (const businessId of ['900', '901']) {
      const id = await enqueue(database, businessId, 'CA1')
      expect(await untilAttempted(id)).toMatchObject({ result: 'blocked', status_code: null })
      expect(await deliveryOf(database, id)).toMatchObject({ status: 'pending', step: 1 })
    }
    expect(receiver.posts.filter((post) => post.path === '/unsendable')).toEqual([])
  })

  test('a secret that this key does not open: nothing is sent unsigned, and the route is parked', async () => {
    runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
    await putBusiness(database, '902', { inbound: `${receiver.url}/unsigned` })
    await database.pool.query(
      `update businesses set signing_secret_sealed = (select signing_secret_sealed from businesses where business_id = 900)
       where business_id = 902`,
    )
    const id = await enqueue(database, '902', 'CA1')
    const reason = await eventually('the route is parked', async () => {
      const { rows } = await database.pool.query(
        `select state_reason from routes where business_id = 902 and direction = 'inbound' and state = 'parked'`,
      )
      return rows[0]?.state_reason
    })
    expect(reason).toContain('signing secret')
    expect(await deliveryOf(database, id)).toMatchObject({ status: 'pending', attempt_count: 0, step: 0 })
    expect(receiver.posts.filter((post) => post.path === '/unsigned')).toEqual([])
  })
})

describe('a private address that the operator has not allowed', () => {
  let dispatcher: TestDispatcher
  beforeAll(() => {
    const settings = { WEBHOOK_RETRY_SCHEDULE: '1h', WEBHOOK_ALLOWED_NETWORKS: '' }
    dispatcher = startTestDispatcher(database.url, settings)
  })
  afterAll(() => dispatcher.stop())

  test.concurrent.each([
    ['a literal', (port: number) => `http://127.0.0.1:${port}/private`],
    ['a decimal spelling', (port: number) => `http://2130706433:${port}/private`],
    ['a mapped address', (port: number) => `http://[::ffff:127.0.0.1]:${port}/private`],
    ['IPv6 loopback', (port: number) => `http://[::1]:${port}/private`],
    ['a name', (port: number) => `http://localhost:${port}/private`],
    ['cloud metadata', () => 'http://169.254.169.254/latest/meta-data'],
  ])('%s', async (_named, urlAt) => {
    const { attempt, row } = await tryOnce(urlAt(receiver.port))
    expect(attempt).toMatchObject({ result: 'blocked', status_code: null })
    expect(attempt.error).toContain('WEBHOOK_ALLOWED_NETWORKS')
    expect(row).toMatchObject({ status: 'pending', step: 1 })
    expect(receiver.posts.filter((post) => post.path === '/private')).toEqual([])
  })
})

describe('Retry-After', () => {
  let dispatcher: TestDispatcher
  beforeAll(() => {
    dispatcher = startTestDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h,10h' })
  })
  afterAll(() => dispatcher.stop())

  const inHours = (hours: number): string => new Date(Date.now() + hours * hourMs).toUTCString()
  test.concurrent.each([
    ['429, seconds', 429, () => String(3 * 3_600), 3],
    ['429, a date', 429, () => inHours(3), 3],
    ['503, seconds', 503, () => String(3 * 3_600), 3],
    ['503, a date', 503, () => inHours(3), 3],
    ['longer than the longest step', 429, () => String(30 * 24 * 3_600), 10],
    ['a date beyond the longest step', 503, () => inHours(30 * 24), 10],
    ['shorter than the schedule', 429, () => '1', 1],
    ['a date that has passed', 503, () => inHours(-3), 1],
    ['of no sense', 429, () => 'soon, -5 or 1e9', 1],
    ['negative', 429, () => '-5', 1],
    ['none', 503, () => undefined, 1],
  ])('%s', async (named, status, retryAfter, hours) => {
    const path = `/${named.replaceAll(' ', '-')}`
    const asked = retryAfter()
    receiver.answers.always(path, { status, headers: asked === undefined ? {} : { 'retry-after': asked } })
    const { attempt, row } = await tryOnce(`${receiver.url}${path}`)
    expect(attempt).toMatchObject({ result: 'http_error', status_code: status })
    expect(row).toMatchObject({ status: 'pending', step: 1, attempt_count: 1 })
    expect(row.due_in_ms).toBeGreaterThan(hours * hourMs - 60_000)
    expect(row.due_in_ms).toBeLessThan(hours * hourMs * 1.1 + 60_000)
  })
})

test('a schedule used up: failed, with the reason', async () => {
  receiver.answers.queue('/hopeless', 'reset', { status: 500 }, { status: 502 })
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '10ms,10ms' })
  const { businessId } = await businessAt(`${receiver.url}/hopeless`)
  const id = await enqueue(database, businessId, 'CA1')
  expect(await untilStatus(database, id, 'failed')).toMatchObject({
    reason: 'no 2xx in 3 attempts; the last: HTTP 502',
    attempt_count: 3,
  })
  expect((await attemptsOf(database, id)).map(({ number, result }) => [number, result])).toEqual([
    [1, 'reset'],
    [2, 'http_error'],
    [3, 'http_error'],
  ])
})

test('an answer that the database refuses is recorded without its words, and its batch is unharmed', async () => {
  await database.pool.query(
    `alter table webhook_attempts add constraint refuses check (response_excerpt is distinct from 'poison')`,
  )
  onTestFinished(async () => {
    await database.pool.query('alter table webhook_attempts drop constraint refuses')
  })
  const ids = []
  const releases: (() => void)[] = []
  for (let n = 0; n < 9; n += 1) {
    const path = `/together-${n}`
    const { businessId } = await businessAt(`${receiver.url}${path}`)
    // All at once, so that they are settled together.
    receiver.answers.always(path, (_request, response) => {
      releases.push(() => response.end(n === 4 ? 'poison' : 'fine'))
      if (releases.length === 9) for (const release of releases) release()
    })
    ids.push(await enqueue(database, businessId, 'CA1'))
  }
  runDispatcher(database.url, { WEBHOOK_TIMEOUT: '30s' })
  for (const [n, id] of ids.entries()) {
    expect(await untilStatus(database, id, 'delivered')).toMatchObject({ attempt_count: 1 })
    const attempts = await attemptsOf(database, id)
    expect(attempts).toMatchObject([{ result: 'ok', response_excerpt: n === 4 ? null : Buffer.from('fine') }])
  }
})
