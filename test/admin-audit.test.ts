import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AdminApi, otherToken, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { enqueue, setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})
beforeEach(async () => {
  await emptyTables(database, 'audit, businesses, routes, webhook_outbox, calls, call_details')
})

const put = (id: string, body: unknown) => api.send('PUT', `/admin/businesses/${id}`, body)
const post = (path: string, body?: unknown) => api.send('POST', `/admin/${path}`, body)
const audit = async (query = '') => {
  const answer = await api.send('GET', `/admin/audit?${query}`)
  expect(answer.status).toBe(200)
  return answer.json.items
}
const actions = async (query = '') => (await audit(query)).map((entry: { action: string }) => entry.action)
const failedCall = (callSid: string) =>
  database.knex('callbox.calls').insert({ business_id: 1, call_sid: callSid, state: 'failed', failed_at: 'now' })

describe('every change by an operator is one entry', () => {
  const entry = {
    id: expect.stringMatching(/^\d+$/),
    at: expect.stringMatching(/^\d{4}-.+Z$/),
    operator: 'night',
    business_id: '1',
    direction: null,
    call_sid: null,
    delivery_id: null,
    requeue_id: null,
    detail: {},
  }

  test('a business created and changed: the names of what changed, and harmless values', async () => {
    const secret = `whsec_${Buffer.alloc(24, 1).toString('base64')}`
    const settings = {
      name: 'Ten Realty',
      phone_numbers: ['+972501112222'],
      inbound_webhook_url: 'https://hooks.example/secret-path',
      headers: { authorization: 'Basic secret' },
      signing_secret: secret,
      language: 'he',
      max_concurrency: 4,
      rate_per_second: 'zapier',
    }
    await put('1', settings)
    await put('1', { ...settings, language: 'en', headers: { authorization: 'other' }, generic_webhook_url: null })
    await put('1', { signing_secret: null, rate_per_second: null })
    expect(await audit()).toEqual([
      {
        ...entry,
        action: 'business.changed',
        detail: { fields: ['signing_secret', 'rate_per_second'], rate_per_second: null },
      },
      { ...entry, action: 'business.changed', detail: { fields: ['headers', 'language'], language: 'en' } },
      {
        ...entry,
        action: 'business.created',
        detail: { fields: Object.keys(settings), language: 'he', max_concurrency: 4, rate_per_second: 30 },
      },
    ])
    const { rows } = await database.pool.query('select json_agg(audit)::text as text from audit')
    expect(rows[0].text).not.toMatch(/whsec|secret-path|Basic|972501112222|Ten Realty/)
  })

  test('what the platform says of a call, whoever it belongs to', async () => {
    const patch = (body: unknown) => api.send('PATCH', '/admin/calls/CA1', body)
    await patch({ customer_name: 'Dana', lead_id: '7', agent_name: null })
    await database.knex('callbox.calls').insert({ business_id: 1, call_sid: 'CA1', state: 'open' })
    await patch({ customer_name: 'Dana', metadata: { a: 1 } })
    const call = { ...entry, action: 'call.changed', call_sid: 'CA1' }
    expect(await audit()).toEqual([
      { ...call, detail: { fields: ['metadata'] } },
      { ...call, business_id: null, detail: { fields: ['lead_id', 'customer_name'] } },
    ])
  })

  test('a call processed again', async () => {
    await failedCall('CA2')
    await post('calls/CA2/reprocess')
    expect(await audit()).toEqual([{ ...entry, action: 'call.reprocessed', call_sid: 'CA2' }])
  })

  test('a delivery requeued', async () => {
    const id = await enqueue(database, '1', 'CA3', 'outbound')
    await setDeliveries(database, 'true', [], { status: 'failed' })
    await post(`deliveries/${id}/requeue`)
    expect(await audit()).toEqual([{ ...entry, action: 'delivery.requeued', direction: 'outbound', delivery_id: id }])
  })

  test('a route parked and unparked, each by whom', async () => {
    await put('1', {})
    await emptyTables(database, 'audit')
    await post('routes/1/inbound/park', { reason: 'ask +972501112222' })
    await api.send('POST', '/admin/routes/1/inbound/unpark', undefined, { authorization: `Bearer ${otherToken}` })
    const route = { ...entry, direction: 'inbound' }
    expect(await audit()).toEqual([
      { ...route, operator: 'day', action: 'route.unparked' },
      { ...route, action: 'route.parked', detail: { reason: 'ask +9725***22' } },
    ])
  })
})

test('what changed nothing is no entry', async () => {
  await put('1', { name: 'x', headers: null, phone_numbers: ['+15550000001'] })
  await put('2', {})
  await post('routes/1/outbound/park')
  const id = await enqueue(database, '1', 'CA1')
  await api.send('PATCH', '/admin/calls/CA1', { lead_id: '7', metadata: { a: [1] } })
  await emptyTables(database, 'audit')

  await put('1', {})
  await put('1', { name: 'x', headers: null, phone_numbers: ['+15550000001'] })
  expect((await put('2', { phone_numbers: ['+15550000001'] })).status).toBe(409)
  await post('routes/1/outbound/park')
  await post('routes/1/inbound/unpark')
  expect((await post('routes/999/inbound/park')).status).toBe(404)
  await post(`deliveries/${id}/requeue`)
  await api.send('PATCH', '/admin/calls/CA1', { lead_id: '7', metadata: { a: [1] } })
  expect((await post('calls/CA1/reprocess')).status).toBe(404)
  expect(await audit()).toEqual([])
})

test('a change that cannot be recorded is not made', async () => {
  await put('1', { name: 'before' })
  const id = await enqueue(database, '1', 'CA1')
  await setDeliveries(database, 'true', [], { status: 'failed' })
  await failedCall('CA2')
  const state = async () =>
    (
      await database.pool.query(
        `select (select json_agg(b) from businesses b) as businesses, (select json_agg(r) from routes r) as routes,
                (select json_agg(o) from webhook_deliveries o) as outbox, (select json_agg(c) from calls c) as calls,
                (select json_agg(d) from call_details d) as details,
                (select json_agg(q) from requeues q) as requeues`,
      )
    ).rows
  const before = await state()
  await database.pool.query(`alter table audit add constraint full_disk check (at < '2000-01-01') not valid`)
  try {
    for (const answer of [
      await put('1', { name: 'after' }),
      await put('2', {}),
      await post('routes/1/inbound/park'),
      await post(`deliveries/${id}/requeue`),
      await post('calls/CA2/reprocess'),
      await api.send('PATCH', '/admin/calls/CA3', { lead_id: '7' }),
      await post('businesses/1/test-events', { direction: 'inbound' }),
      await post('requeues', {}),
    ]) {
      expect(answer.status).toBe(500)
    }
    expect(await state()).toEqual(before)
  } finally {
    await database.pool.query('alter table audit drop constraint full_disk')
  }
})

describe('the list', () => {
  const insert = (columns: Record<string, unknown>) =>
    database.knex('callbox.audit').insert({ operator: 'night', action: 'route.parked', ...columns })

  test('filters by everything, alone and together', async () => {
    await insert({ at: '2025-05-05T05:05:05.000005Z', business_id: 1 })
    await insert({ at: '2025-05-06T00:00:00Z', business_id: 2, operator: 'day', action: 'route.unparked' })
    await insert({ at: '2025-05-07T00:00:00Z', business_id: 2, action: 'call.changed' })
    expect(await actions()).toEqual(['call.changed', 'route.unparked', 'route.parked'])
    expect(await actions('operator=day')).toEqual(['route.unparked'])
    expect(await actions('operator=nobody')).toEqual([])
    expect(await actions('action=route.parked')).toEqual(['route.parked'])
    expect(await actions('business_id=2')).toEqual(['call.changed', 'route.unparked'])
    expect(await actions('business_id=2&operator=night')).toEqual(['call.changed'])
    expect(await actions('since=2025-05-05T05:05:05.000006Z&until=2025-05-07T00:00:00Z')).toEqual(['route.unparked'])
    expect(await actions('until=2025-05-05T05:05:05.000006Z')).toEqual(['route.parked'])
    expect((await api.send('GET', '/admin/audit?action=route.sold')).status).toBe(400)
  })

  test('pages by key, also within one microsecond', async () => {
    for (let n = 0; n < 7; n++) await insert({ at: '2025-05-05T05:05:05.123456Z', business_id: 1, detail: { n } })
    const seen: number[] = []
    let cursor: string | null = null
    do {
      const answer = await api.send('GET', `/admin/audit?limit=3${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...answer.json.items.map((entry: { detail: { n: number } }) => entry.detail.n))
      cursor = answer.json.next_cursor
      await insert({ at: 'now' })
    } while (cursor !== null)
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0])
  })
})
