import { afterAll, beforeEach, expect, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue } from './helpers/outbox.ts'

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

beforeEach(async () => {
  await emptyTables(database, 'webhook_outbox, webhook_attempts, businesses, routes, dispatchers')
  await database.pool.query('update slots set owner = null')
})

let lastBusiness = 0
async function newBusiness(maxConcurrency = 16, ratePerSecond: number | null = null): Promise<string> {
  lastBusiness += 1
  const businessId = String(lastBusiness)
  const url = `${receiver.url}/${businessId}`
  receiver.endpoint(`/${businessId}`, await putBusiness(database, businessId, { inbound: url, maxConcurrency }))
  await database.pool.query(
    'update businesses set rate_per_second = $2, revision = revision + 1 where business_id = $1',
    [businessId, ratePerSecond],
  )
  return businessId
}

async function newBusinesses(count: number, maxConcurrency = 16, ratePerSecond: number | null = null) {
  const businesses = []
  for (let n = 0; n < count; n += 1) businesses.push(await newBusiness(maxConcurrency, ratePerSecond))
  return businesses
}

/** Deliveries that are due. @param attempts made of each of them before; above 0: a backlog of retries. */
async function enqueueMany(businessId: string, count: number, attempts = 0): Promise<void> {
  await database.pool.query(
    `select callbox_enqueue($1, 'CA' || n, 'call.completed', 'inbound', '{}') from generate_series(1, $2::int) n`,
    [businessId, count],
  )
  if (attempts === 0) return
  await database.pool.query(
    `update webhook_due set attempt_count = $2, requeued = true, version = 1, due_at = due_at - interval '1 minute'
     where business_id = $1`,
    [businessId, attempts],
  )
}

const postsOf = (businessId: string) => receiver.posts.filter(({ path }) => path === `/${businessId}`)

function answersAfter(businessId: string, ms: number): void {
  receiver.answers.always(`/${businessId}`, (_request, response) => void setTimeout(() => response.end(), ms))
}

async function pendingOf(businessIds: readonly string[]): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>(
    `select count(*)::int as n from webhook_deliveries where business_id = any($1) and status = 'pending'`,
    [businessIds],
  )
  return rows[0]?.n ?? 0
}

const untilDelivered = (...businessIds: string[]) =>
  eventually('all are delivered', async () => (await pendingOf(businessIds)) === 0)

/** How many of the backlog's posts came before the one of this delivery. */
async function postsBefore(backlog: readonly string[], id: string): Promise<number> {
  const post = await eventually('the new one is sent', () => receiver.posts.find(({ webhookId }) => webhookId === id))
  const paths = new Set(backlog.map((businessId) => `/${businessId}`))
  const earlier = receiver.posts.slice(0, receiver.posts.indexOf(post))
  return earlier.filter(({ path }) => paths.has(path)).length
}

/** Every delivery was sent once, and nothing of its schedule was used up by waiting. */
async function expectOneAttemptEach(businessIds: readonly string[]): Promise<void> {
  const { rows } = await database.pool.query(
    `select distinct status, step, attempt_count,
            (select count(*)::int from webhook_attempts a where a.business_id = o.business_id and a.delivery_id = o.id) as attempts
     from webhook_deliveries o where business_id = any($1)`,
    [businessIds],
  )
  expect(rows).toEqual([{ status: 'delivered', step: null, attempt_count: 1, attempts: 1 }])
}

const settings = { WEBHOOK_TIMEOUT: '40s', WEBHOOK_RETRY_SCHEDULE: '1h' }

test.each([
  ['by its concurrency', 2, null],
  ['by its rate', 16, 100],
])('a new event goes before a backlog of retries of its own route, which is held %s', async (_named, most, rate) => {
  const business = await newBusiness(most, rate)
  await enqueueMany(business, 400, 1)
  answersAfter(business, 10)
  runDispatcher(database.url, settings)
  await eventually('the backlog is under way', () => postsOf(business).length > 10)
  const ids = []
  for (let n = 0; n < 10; n += 1) ids.push(await enqueue(database, business, `CA-new-${n}`))
  for (const id of ids) expect(await postsBefore([business], id)).toBeLessThan(300)
  await untilDelivered(business)
  expect(postsOf(business).length).toBe(410)
})

test('a new event goes before backlogs of retries of all other routes', async () => {
  const backlog = await newBusinesses(30)
  const business = await newBusiness()
  for (const other of backlog) {
    await enqueueMany(other, 20, 1)
    answersAfter(other, 30)
  }
  runDispatcher(database.url, { ...settings, DISPATCHER_CONCURRENCY: '8' })
  await eventually('the backlog is under way', () => receiver.posts.filter(({ path }) => path !== '/').length > 10)
  const ids = []
  for (let n = 0; n < 10; n += 1) ids.push(await enqueue(database, business, `CA-new-${n}`))
  for (const id of ids) expect(await postsBefore(backlog, id)).toBeLessThan(400)
  await untilDelivered(business, ...backlog)
})

test('retries are not starved by new events either', async () => {
  const business = await newBusiness(2)
  await enqueueMany(business, 20, 1)
  const { rows } = await database.pool.query('select id from webhook_deliveries where business_id = $1', [business])
  for (let n = 0; n < 400; n += 1) await enqueue(database, business, `CA-new-${n}`)
  answersAfter(business, 5)
  runDispatcher(database.url, settings)
  for (const { id } of rows) expect(await postsBefore([business], id)).toBeLessThan(300)
  await untilDelivered(business)
})

test('an endpoint that hangs holds its own places and no more, whatever waits for it', async () => {
  const hanging = await newBusiness()
  const healthy = await newBusinesses(10)
  await enqueueMany(hanging, 1_000)
  receiver.answers.always(`/${hanging}`, 'hang')
  runDispatcher(database.url, { ...settings, DISPATCHER_CONCURRENCY: '32' })
  await eventually('16 hang', () => receiver.answers.hanging === 16)
  for (const business of healthy) await enqueueMany(business, 50)
  await untilDelivered(...healthy)
  expect(receiver.answers.hanging).toBe(16)
  expect(postsOf(hanging).length).toBe(16)
  await expectOneAttemptEach(healthy)
  receiver.answers.always(`/${hanging}`, null)
  receiver.answers.release({ status: 200 })
})

test('many that hang leave a part of the window to what is likely to be quick', async () => {
  const hanging = await newBusinesses(12)
  const healthy = await newBusinesses(10)
  for (const business of hanging) {
    await enqueueMany(business, 50, 1)
    receiver.answers.always(`/${business}`, 'hang')
  }
  runDispatcher(database.url, { ...settings, DISPATCHER_CONCURRENCY: '32' })
  await eventually('three quarters of the window hang', () => receiver.answers.hanging === 24)
  for (const business of healthy) await enqueueMany(business, 50)
  await untilDelivered(...healthy)
  expect(receiver.answers.hanging).toBe(24)
  for (const business of hanging) receiver.answers.always(`/${business}`, null)
  receiver.answers.release({ status: 200 })
})

test('never more at once than max_concurrency, by two dispatchers, one that comes and one that goes', async () => {
  const most = 3
  const businesses = await newBusinesses(8, most)
  const open = new Map<string, number>()
  const peaks = new Map<string, number>()
  for (const business of businesses) {
    await enqueueMany(business, 150)
    receiver.answers.always(`/${business}`, (_request, response) => {
      const now = (open.get(business) ?? 0) + 1
      open.set(business, now)
      peaks.set(business, Math.max(peaks.get(business) ?? 0, now))
      setTimeout(() => {
        open.set(business, (open.get(business) ?? 0) - 1)
        response.end()
      }, 20)
    })
  }
  const sent = (count: number) =>
    eventually(`${count} are sent`, () => businesses.every((business) => postsOf(business).length >= count))
  const first = runDispatcher(database.url, settings)
  await sent(20)
  runDispatcher(database.url, settings)
  await eventually('both own slots', async () => {
    const { rows } = await database.pool.query('select distinct owner from slots where owner is not null')
    return rows.length === 2
  })
  await sent(60)
  await first.stop()
  await untilDelivered(...businesses)
  expect([...peaks.values()]).toEqual(businesses.map(() => most))
  await expectOneAttemptEach(businesses)
})

test('never more than rate_per_second, by two dispatchers, one that comes and one that goes', async () => {
  const rates = [10, 20, 40, 2.5]
  const businesses = new Map<string, { rate: number; arrivals: number[] }>()
  for (const rate of rates) {
    const business = await newBusiness(16, rate)
    const arrivals: number[] = []
    businesses.set(business, { rate, arrivals })
    await enqueueMany(business, Math.ceil(rate * 3))
    receiver.answers.always(`/${business}`, (_request, response) => {
      arrivals.push(performance.now())
      response.end()
    })
  }
  // What is sent by some moment is within the rate since the start, and what has arrived has been sent before.
  const begunMs = performance.now()
  const first = runDispatcher(database.url, settings)
  const fastest = [...businesses.keys()][2] ?? ''
  await eventually('the fastest is under way', () => postsOf(fastest).length > 20)
  runDispatcher(database.url, settings)
  await eventually('both own slots', async () => {
    const { rows } = await database.pool.query('select distinct owner from slots where owner is not null')
    return rows.length === 2
  })
  await first.stop()
  await untilDelivered(...businesses.keys())
  for (const { rate, arrivals } of businesses.values()) {
    const burst = Math.max(1, rate / 10)
    for (const [n, atMs] of arrivals.entries()) {
      expect(n + 1).toBeLessThanOrEqual(((atMs - begunMs) / 1_000) * rate + burst)
    }
    expect(arrivals.length).toBe(Math.ceil(rate * 3))
  }
  await expectOneAttemptEach([...businesses.keys()])
})
