import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { deliveryOf, enqueue, untilStatus } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

const put = (business: string, body: unknown) => api.send('PUT', `/admin/businesses/${business}`, body)
const park = (route: string) => api.send('POST', `/admin/routes/${route}/park`)
const unpark = (route: string) => api.send('POST', `/admin/routes/${route}/unpark`)
const routeOf = async (business: string) =>
  (await api.send('GET', `/admin/routes?business_id=${business}&direction=inbound`)).json.items[0]
const untilState = (business: string, state: string) =>
  eventually(`the route of ${business} is ${state}`, async () => (await routeOf(business)).state === state)
const postsTo = (path: string) => receiver.posts.filter((post) => post.path === path)

async function enqueueMany(business: string, count: number): Promise<string[]> {
  const ids = []
  for (let call = 0; call < count; call += 1) ids.push(await enqueue(database, business, `CA${call}`))
  return ids
}

const rowsOf = async (business: string) => {
  const sql =
    'select id, status, version, attempt_count, due_at from webhook_deliveries where business_id = $1 order by id'
  return (await database.pool.query(sql, [business])).rows
}

test('a parked route sends no more, and its deliveries wait untouched; unparked, it sends them all', async () => {
  const secret = await putBusiness(database, '1', { inbound: `${receiver.url}/1` })
  receiver.endpoint('/1', secret)
  // So that the backlog lasts for longer than the parking takes.
  await put('1', { rate_per_second: 20 })
  const ids = await enqueueMany('1', 200)
  const before = new Map((await rowsOf('1')).map((row) => [row.id, row]))
  runDispatcher(database.url)
  await eventually('some are sent', () => postsTo('/1').length >= 5)

  await park('1/inbound')
  let seen = -1
  await eventually('a second without a post', async () => {
    const sent = postsTo('/1').length
    const isQuiet = sent === seen
    seen = sent
    if (!isQuiet) await new Promise((resolve) => setTimeout(resolve, 1_000))
    return isQuiet
  })
  expect(seen).toBeLessThan(200)
  const late = await enqueue(database, '1', 'CAlate')
  await database.pool.query(`select pg_notify('callbox_outbox', '1:inbound')`)
  // By the time that a later event of somebody else has come by the same sweep, this one would have too.
  const other = await putBusiness(database, '2', { inbound: `${receiver.url}/2` })
  receiver.endpoint('/2', other)
  await untilStatus(database, await enqueue(database, '2', 'CA1'), 'delivered')
  expect(postsTo('/1').length).toBe(seen)
  expect(await deliveryOf(database, late)).toMatchObject({ status: 'pending', version: 0 })
  const waiting = (await rowsOf('1')).filter((row) => row.status === 'pending' && row.id !== late)
  expect(waiting.length).toBe(200 - seen)
  expect(waiting).toEqual(waiting.map((row) => before.get(row.id)))
  expect(await routeOf('1')).toMatchObject({ state: 'parked', waiting: 201 - seen })

  await put('1', { rate_per_second: null })
  expect(await routeOf('1')).toMatchObject({ state: 'parked' })
  await unpark('1/inbound')
  for (const id of [...ids, late]) await untilStatus(database, id, 'delivered')
  const posted = postsTo('/1').map((post) => post.webhookId)
  expect(posted.sort()).toEqual([...ids, late].sort())
})

test('no more than its rate is sent of a route', async () => {
  const secret = await putBusiness(database, '3', { inbound: `${receiver.url}/3` })
  receiver.endpoint('/3', secret)
  await put('3', { rate_per_second: 20 })
  const ids = await enqueueMany('3', 21)
  runDispatcher(database.url)
  for (const id of ids) await untilStatus(database, id, 'delivered')
  const times = postsTo('/3').map((post) => post.at)
  // 20 intervals of 50 ms, less the two tokens that a bucket of this rate may hold, and the clocks' grain.
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThan(18 * 50 - 20)
})

test.each(['the endpoint', 'an operator'])('parked by %s, a changed URL unparks, the same one does not', async (by) => {
  const business = by === 'an operator' ? '4' : '5'
  const secret = await putBusiness(database, business, { inbound: `${receiver.url}/${business}/gone` })
  receiver.endpoint(`/${business}/right`, secret)
  receiver.answers.always(`/${business}/gone`, { status: 410 })
  if (by === 'an operator') await park(`${business}/inbound`)
  runDispatcher(database.url)
  const ids = await enqueueMany(business, 3)
  await untilState(business, 'parked')
  await put(business, { name: 'x', inbound_webhook_url: `${receiver.url}/${business}/gone` })
  expect(await routeOf(business)).toMatchObject({ state: 'parked', waiting: 3 })
  await put(business, { inbound_webhook_url: `${receiver.url}/${business}/right` })
  for (const id of ids) await untilStatus(database, id, 'delivered')
  expect(await routeOf(business)).toMatchObject({ state: 'active', reason: null, waiting: 0 })
  if (by === 'an operator') expect(postsTo(`/${business}/gone`)).toEqual([])
})

test('what the former endpoint still answers does not park the new one', async () => {
  const secret = await putBusiness(database, '7', { inbound: `${receiver.url}/7/old` })
  receiver.endpoint('/7/new', secret)
  receiver.answers.always('/7/old', 'hang')
  runDispatcher(database.url, { WEBHOOK_TIMEOUT: '30s' })
  const id = await enqueue(database, '7', 'CA1')
  await eventually('it is on its way', () => receiver.answers.hanging === 1)
  await put('7', { inbound_webhook_url: `${receiver.url}/7/new` })
  receiver.answers.release({ status: 410 })
  await untilStatus(database, id, 'delivered')
  expect(await routeOf('7')).toMatchObject({ state: 'active', reason: null })
})

test('unpark closes an open breaker', async () => {
  const secret = await putBusiness(database, '6', { inbound: `${receiver.url}/6` })
  receiver.endpoint('/6', secret)
  receiver.answers.always('/6', { status: 503 })
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms' })
  const id = await enqueue(database, '6', 'CA1')
  for (const call of ['CA2', 'CA3']) await enqueue(database, '6', call)
  await untilState('6', 'failing')
  // As after a long outage: by itself it would be five minutes until the next probe.
  await database.pool.query(
    `update routes set probe_at = now() + interval '5 minutes', probes = 20, health_version = health_version + 1
     where business_id = 6 and direction = 'inbound'`,
  )
  receiver.answers.always('/6', null)
  expect((await unpark('6/inbound')).json).toMatchObject({ state: 'active', probe_at: null, failing_since: null })
  await untilStatus(database, id, 'delivered')
  expect(await routeOf('6')).toMatchObject({ state: 'active' })
})
