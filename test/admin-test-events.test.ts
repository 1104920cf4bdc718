import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { untilStatus } from './helpers/outbox.ts'

const fixture = JSON.parse(readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8'))

let database: TestDatabase
let api: AdminApi
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

const send = (business: string, body: unknown = { direction: 'inbound' }) =>
  api.send('POST', `/admin/businesses/${business}/test-events`, body)

test('goes the way of all deliveries: signed, shaped as call.completed, its answer on record', async () => {
  const secret = await putBusiness(database, '10', { inbound: `${receiver.url}/ten` })
  receiver.endpoint('/ten', secret)
  receiver.answers.queue('/ten', { status: 500, body: 'flow is not active' })
  await api.send('PUT', '/admin/businesses/10', { service_categories: ['rent', 'sale'] })
  const sent = await send('10')
  expect(sent.status).toBe(202)
  expect(sent.json).toEqual({
    ...{ id: expect.any(String), business_id: '10', event_type: 'callbox.test', direction: 'inbound' },
    call_sid: expect.stringMatching(/^test-[0-9a-f-]{36}$/),
    ...{ status: 'pending', reason: 'waiting', operator: null, attempt_count: 0, last_status_code: null },
    ...{ finished_at: null, remark: null },
    ...{ created_at: expect.stringMatching(/Z$/), due_at: expect.stringMatching(/Z$/) },
  })
  const { id, call_sid: callSid } = sent.json
  runDispatcher(database.url)
  await untilStatus(database, id, 'delivered')
  const posts = receiver.posts.filter(({ webhookId }) => webhookId === id)
  expect(posts.map(({ answer }) => answer)).toEqual([500, 200])
  const payload = JSON.parse(String(posts[1]?.body))
  expect(posts[1]?.verified).toBe(true)
  expect(Object.keys(payload)).toEqual(Object.keys(fixture))
  const types = (object: object) => Object.values(object).map((value) => typeof value)
  expect(types(payload)).toEqual(types(fixture))
  expect(payload).toMatchObject({
    ...{ event_type: 'callbox.test', business_id: '10', call_id: callSid, direction: 'inbound' },
    ...{ service_category: 'rent', city: 'Sampletown', duration_sec: 26, metadata: { test: true } },
  })
  expect(Date.parse(payload.ended_at) - Date.parse(payload.started_at)).toBe(26_000)

  const { json } = await api.send('GET', `/admin/deliveries/${id}`)
  expect(json.payload).toEqual(payload)
  expect(json.attempts).toMatchObject([
    { number: 1, status_code: 500, response_excerpt: 'flow is not active' },
    { number: 2, status_code: 200 },
  ])
})

test('each is an event of its own, and on record', async () => {
  await putBusiness(database, '11', { outbound: `${receiver.url}/eleven` })
  const ids = [await send('11', { direction: 'outbound' }), await send('11', { direction: 'outbound' })].map(
    ({ json }) => json.id,
  )
  expect(new Set(ids).size).toBe(2)
  const { json } = await api.send('GET', '/admin/audit?business_id=11')
  expect(json.items.map((entry: { delivery_id: string }) => entry.delivery_id)).toEqual(ids.reverse())
  expect(json.items[0]).toMatchObject({ action: 'test_event.sent', operator: 'night', direction: 'outbound' })
  expect(json.items[0].call_sid).toMatch(/^test-/)
})

test('says in words why it will not be tried, or not at once', async () => {
  await putBusiness(database, '12', { outbound: `${receiver.url}/twelve` })
  const remark = async (direction: string) => (await send('12', { direction })).json.remark
  expect(await remark('outbound')).toBeNull()
  expect(await remark('inbound')).toBe('it will be skipped: neither inbound_webhook_url nor generic_webhook_url is set')
  await api.send('POST', '/admin/routes/12/outbound/park', { reason: 'they move house' })
  expect(await remark('outbound')).toBe(
    'it waits until its route is unparked, which was parked for this: they move house',
  )
  await api.send('POST', '/admin/routes/12/outbound/unpark')
  await database.knex('callbox.routes').where({ business_id: 12, direction: 'outbound' }).update({ state: 'failing' })
  expect(await remark('outbound')).toMatch(/^its endpoint has failed again and again/)
})

test('what is not understood is refused, and enqueues nothing', async () => {
  await putBusiness(database, '13', {})
  expect((await send('999')).status).toBe(404)
  for (const business of ['0', 'x', '%00']) expect((await send(business)).status).toBe(400)
  for (const body of [{}, { direction: 'sideways' }, { direction: 'inbound', url: 'https://x.example' }, [], 'x']) {
    expect([body, (await send('13', body)).status]).toEqual([body, 400])
  }
  expect((await api.send('GET', '/admin/businesses/13/test-events')).headers.get('allow')).toBe('POST')
  const { rows } = await database.pool.query('select 1 from webhook_deliveries where business_id in (13, 999)')
  expect(rows).toEqual([])
})
