import { afterAll, describe, expect, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import type { PostResult } from '../src/dispatcher/sending/post.ts'
import { verdictOn } from '../src/dispatcher/sending/verdict.ts'
import { discardDelivery } from '../src/outbox/discard.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { attemptsOf, enqueue, untilStatus } from './helpers/outbox.ts'
import { changeRoute, routeOf, untilRoute } from './helpers/routes.ts'

const result = (over: Partial<PostResult>): PostResult => ({
  result: 'http_error',
  statusCode: 500,
  error: null,
  excerpt: null,
  retryAfterMs: null,
  durationMs: 1,
  keptConnectionClosed: false,
  ...over,
})

describe('who is at fault for a failure', () => {
  const faultOf = (over: Partial<PostResult>) => verdictOn(result(over), 1_000)

  test.each([
    300, 301, 302, 304, 307, 308, 401, 402, 403, 404, 405, 407, 408, 410, 421, 425, 429, 500, 501, 502, 503, 504, 511,
    599, 600, 999,
  ])('%d: the endpoint', (statusCode) => {
    expect(faultOf({ statusCode })).toMatchObject({ of: 'endpoint', ok: false, isGone: statusCode === 410 })
  })

  test.each([400, 406, 409, 411, 412, 413, 414, 415, 416, 417, 418, 422, 423, 424, 426, 428, 431, 451, 499])(
    '%d: the payload',
    (statusCode) => {
      expect(faultOf({ statusCode })).toEqual({ of: 'payload' })
    },
  )

  test.each(['timeout', 'dns', 'connect', 'tls', 'reset', 'blocked'] as const)('%s: the endpoint', (failure) => {
    expect(faultOf({ result: failure, statusCode: null })).toMatchObject({ of: 'endpoint', ok: false, reason: failure })
    // The status concerns the payload, but the response never ends.
    expect(faultOf({ result: failure, statusCode: 400 })).toMatchObject({ of: 'endpoint', ok: false })
  })

  test('Retry-After holds the route with 429 and 503 alone, up to the longest wait of the schedule', () => {
    for (const statusCode of [429, 503]) {
      expect(faultOf({ statusCode, retryAfterMs: 400 })).toMatchObject({ holdMs: 400 })
      expect(faultOf({ statusCode, retryAfterMs: 9_000 })).toMatchObject({ holdMs: 1_000 })
      expect(faultOf({ statusCode })).toMatchObject({ holdMs: 0 })
    }
    expect(faultOf({ statusCode: 500, retryAfterMs: 400 })).toMatchObject({ holdMs: 0 })
  })
})

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

async function newBusiness(id: string, maxConcurrency = 16): Promise<void> {
  const secret = await putBusiness(database, id, { inbound: `${receiver.url}/${id}`, maxConcurrency })
  receiver.endpoint(`/${id}`, secret)
}

const postsOf = (business: string) => receiver.posts.filter(({ path }) => path === `/${business}`)
const callsPosted = (business: string) => postsOf(business).map(({ body }) => JSON.parse(body.toString()).call_id)

/** The receiver of a business refuses one delivery and accepts all others. */
function refuse(business: string, id: string, status: number): void {
  receiver.answers.always(`/${business}`, (request, response) => {
    response.writeHead(request.headers['webhook-id'] === id ? status : 200).end()
  })
}

async function enqueueEvent(business: string, call: string, type: string): Promise<string> {
  const { rows } = await database.pool.query(`select callbox_enqueue($1, $2, $3, 'inbound', $4::json) as id`, [
    business,
    call,
    type,
    JSON.stringify({ call_id: type }),
  ])
  return rows[0].id
}

test('one payload that is refused ends failed by its schedule, and the route of the others stays active', async () => {
  await newBusiness('1')
  const bad = await enqueue(database, '1', 'CA-bad')
  refuse('1', bad, 422)
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '20ms,20ms,20ms,20ms,20ms,20ms' })
  const good: string[] = []
  for (let n = 0; n < 10; n += 1) good.push(await enqueue(database, '1', `CA${n}`))
  expect(await untilStatus(database, bad, 'failed')).toMatchObject({
    reason: 'no 2xx in 7 attempts; the last: HTTP 422',
    attempt_count: 7,
  })
  for (const id of good) await untilStatus(database, id, 'delivered')
  expect(await routeOf(database, '1')).toMatchObject({ state: 'active', version: 0 })
})

test('a route whose only delivery keeps failing never opens its breaker, and the delivery ends failed', async () => {
  await newBusiness('2')
  receiver.answers.always('/2', { status: 500 })
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '20ms,20ms,20ms,20ms,20ms,20ms,20ms,20ms' })
  const id = await enqueue(database, '2', 'CA1')
  expect(await untilStatus(database, id, 'failed')).toMatchObject({ attempt_count: 9 })
  expect(await routeOf(database, '2')).toMatchObject({ state: 'active', version: 0 })
})

test('a refused payload of a probe uses its schedule, and neither opens nor closes the breaker', async () => {
  await newBusiness('3')
  await changeRoute(database, '3', `state = 'failing', probes = 1, failing_since = now(), probe_at = now()`)
  receiver.answers.queue('/3', { status: 400 }, { status: 200 })
  const id = await enqueue(database, '3', 'CA1')
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  await eventually('the probe is on record', async () => (await attemptsOf(database, id)).length === 1)
  expect(await untilStatus(database, id, 'pending')).toMatchObject({ step: 1, attempt_count: 1 })
  expect(await untilRoute(database, '3', 'failing', ({ version }) => version === 2)).toMatchObject({ probes: 1 })
  await changeRoute(database, '3', 'probe_at = now()')
  const next = await enqueue(database, '3', 'CA2')
  await untilStatus(database, next, 'delivered')
  await untilRoute(database, '3', 'active')
})

test.each([429, 503])('%d with Retry-After: 60 holds all of the route: 20 events make one POST', async (status) => {
  const business = String(status)
  await newBusiness(business, 1)
  receiver.answers.always(`/${business}`, { status, headers: { 'retry-after': '60' } })
  const ids: string[] = []
  for (let n = 0; n < 20; n += 1) ids.push(await enqueue(database, business, `CA${n}`))
  const first = runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1m,1m,1m' })
  const held = async () => {
    const { rows } = await database.pool.query<{ ms: number | null }>(
      `select (extract(epoch from held_until - clock_timestamp()) * 1000)::float8 as ms from routes where business_id = $1`,
      [business],
    )
    return rows[0]?.ms ?? 0
  }
  const heldMs = await eventually('the hold is stored', async () => (await held()) > 0 && (await held()))
  expect(heldMs).toBeGreaterThan(40_000)
  // Another dispatcher respects it; a delivery on another route shows that sweeps have passed.
  await first.stop()
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1m,1m,1m' })
  await newBusiness(`${business}1`)
  for (const call of ['CA1', 'CA2', 'CA3']) {
    await untilStatus(database, await enqueue(database, `${business}1`, call), 'delivered')
  }
  expect(postsOf(business)).toHaveLength(1)
  expect(await routeOf(database, business)).toMatchObject({ state: 'active' })

  receiver.answers.always(`/${business}`, null)
  await database.pool.query('update webhook_due set due_at = now() where business_id = $1', [business])
  await changeRoute(database, business, 'held_until = now()')
  for (const id of ids) await untilStatus(database, id, 'delivered')
  expect(await attemptsOf(database, ids[5] ?? '')).toHaveLength(1)
})

describe('events of one call', () => {
  const schedule = { WEBHOOK_RETRY_SCHEDULE: '30ms,30ms,30ms,30ms' }

  test('a receiver that fails the first one twice still gets it before the second', async () => {
    await newBusiness('11')
    receiver.answers.queue('/11', { status: 500 }, { status: 500 })
    const ended = await enqueueEvent('11', 'CA1', 'call.ended')
    const completed = await enqueueEvent('11', 'CA1', 'call.completed')
    runDispatcher(database.url, schedule)
    for (const id of [ended, completed]) await untilStatus(database, id, 'delivered')
    expect(callsPosted('11')).toEqual(['call.ended', 'call.ended', 'call.ended', 'call.completed'])
  })

  test('one that ends failed lets the next one go', async () => {
    await newBusiness('12')
    const ended = await enqueueEvent('12', 'CA1', 'call.ended')
    refuse('12', ended, 400)
    const completed = await enqueueEvent('12', 'CA1', 'call.completed')
    runDispatcher(database.url, schedule)
    await untilStatus(database, ended, 'failed')
    await untilStatus(database, completed, 'delivered')
    expect(callsPosted('12').at(-1)).toBe('call.completed')
    expect(postsOf('12')).toHaveLength(6)
  })

  test('one that is refused for ten minutes no longer holds back the next one, and never others of its route', async () => {
    await newBusiness('13')
    const ended = await enqueueEvent('13', 'CA1', 'call.ended')
    refuse('13', ended, 400)
    runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h,1h' })
    const completed = await enqueueEvent('13', 'CA1', 'call.completed')
    const other = await enqueueEvent('13', 'CA2', 'call.completed')
    await untilStatus(database, other, 'delivered')
    expect(await untilStatus(database, completed, 'pending')).toMatchObject({ attempt_count: 0 })
    await database.pool.query(`update webhook_due set due_at = now() - interval '10 minutes' where id = $1`, [
      completed,
    ])
    await untilStatus(database, completed, 'delivered')
    expect(await untilStatus(database, ended, 'pending')).toMatchObject({ attempt_count: 1 })
  })

  test('events that waited long for anything but a refusal arrive in order, and a tried one waits for none', async () => {
    await newBusiness('15')
    const ids: string[] = []
    for (const type of ['call.a', 'call.b', 'call.c']) ids.push(await enqueueEvent('15', 'CA1', type))
    // As after an outage of all dispatchers.
    await database.pool.query(`update webhook_due set due_at = due_at - interval '1 hour' where business_id = 15`)
    receiver.answers.queue('/15', { status: 500 })
    runDispatcher(database.url, schedule)
    for (const id of ids) await untilStatus(database, id, 'delivered')
    expect(callsPosted('15')).toEqual(['call.a', 'call.a', 'call.b', 'call.c'])

    await newBusiness('16')
    const ended = await enqueueEvent('16', 'CA1', 'call.ended')
    refuse('16', ended, 400)
    const completed = await enqueueEvent('16', 'CA1', 'call.completed')
    await untilStatus(database, ended, 'failed')
    await untilStatus(database, completed, 'delivered')
    // The earlier one is pending again, and the later one has been tried before.
    await database.pool.query(
      `insert into webhook_due (business_id, id, direction, bytes, due_at) values (16, $1, 'inbound', 2, now() + interval '1 h')`,
      [ended],
    )
    await database.pool.query(
      `insert into webhook_due (business_id, id, direction, bytes, attempt_count, after) values (16, $1, 'inbound', 2, 1, $2)`,
      [completed, ended],
    )
    await untilStatus(database, completed, 'delivered')
  })

  test('one that is discarded does not let the next one overtake those before it', async () => {
    await newBusiness('17')
    const ids: string[] = []
    for (const type of ['call.a', 'call.b', 'call.c']) ids.push(await enqueueEvent('17', 'CA1', type))
    const [first, second = '', third] = ids
    await discardDelivery(database.knex, '17', second, 'operator', 'a test')
    const { rows } = await database.pool.query('select id, after from webhook_due where business_id = 17')
    expect(rows).toContainEqual({ id: third, after: first })
  })

  test('many of one call arrive in the order of their commits, whatever fails in between', async () => {
    await newBusiness('14')
    let count = 0
    receiver.answers.always('/14', (_request, response) => {
      count += 1
      response.writeHead(count % 3 === 0 ? 500 : 200).end()
    })
    runDispatcher(database.url, schedule)
    const types = Array.from({ length: 12 }, (_, n) => `call.step_${String(n).padStart(2, '0')}`)
    const ids: string[] = []
    for (const type of types) ids.push(await enqueueEvent('14', 'CA1', type))
    for (const id of ids) await untilStatus(database, id, 'delivered')
    const posted = callsPosted('14')
    expect([...posted].sort()).toEqual(posted)
    expect([...new Set(posted)]).toEqual(types)
  })
})
