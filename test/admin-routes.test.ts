import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AdminApi, otherToken, startAdminApi } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { type DeliveryState, enqueue, setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, routes, webhook_outbox, webhook_attempts')
})

const list = async (query = '') => (await api.send('GET', `/admin/routes${query}`)).json
const names = (answer: { items: { business_id: string; direction: string }[] }) =>
  answer.items.map(({ business_id, direction }) => `${business_id}:${direction}`)
const order = (what: 'park' | 'unpark', route: string, body?: unknown, headers = {}) =>
  api.send('POST', `/admin/routes/${route}/${what}`, body, headers)
const stored = async (business: string, direction = 'inbound') => {
  const sql = 'select * from routes where business_id = $1 and direction = $2'
  return (await database.pool.query(sql, [business, direction])).rows[0]
}
const trouble = (business: string, state: string, direction = 'inbound') =>
  database.pool.query(
    `update routes set state = $2, state_reason = 'HTTP 500', state_since = now(), failing_since = now(), probes = 3,
       probe_at = now() + interval '5 minutes', health_version = 7 where business_id = $1 and direction = $3`,
    [business, state, direction],
  )

describe('GET /admin/routes', () => {
  const unknown = { recent_attempts: 0, success_rate: null, p95_ms: null }

  test('tells of each route its state, its URL, and what waits', async () => {
    await putBusiness(database, '1', { generic: 'https://e.example/generic' })
    await enqueue(database, '1', 'CA1')
    await enqueue(database, '1', 'CA2')
    await enqueue(database, '1', 'CA3')
    await enqueue(database, '1', 'CA4')
    await enqueue(database, '2', 'CA1', 'outbound')
    const change = (call: string, state: DeliveryState) =>
      setDeliveries(database, 'business_id = 1 and call_sid = $1', [call], state)
    await change('CA1', { status: 'delivered', emptied: true })
    await change('CA2', { due_at: '2025-01-01T00:00:00Z', attempt_count: 3 })
    await change('CA3', { due_at: `now() + interval '1 hour'`, attempt_count: 1 })
    await trouble('1', 'failing')
    expect(await list()).toEqual({
      items: [
        {
          business_id: '1',
          direction: 'inbound',
          state: 'failing',
          reason: 'HTTP 500',
          since: expect.stringMatching(/Z$/),
          failing_since: expect.stringMatching(/Z$/),
          probe_at: expect.stringMatching(/Z$/),
          url: 'https://e.example/generic',
          waiting: 3,
          recent_attempts: 0,
          success_rate: null,
          p95_ms: null,
          oldest_due_at: '2025-01-01T00:00:00.000Z',
        },
        {
          ...{ business_id: '1', direction: 'outbound', state: 'active', reason: null, since: null },
          ...{ failing_since: null, probe_at: null, url: null, waiting: 0, oldest_due_at: null, ...unknown },
        },
        {
          ...{ business_id: '2', direction: 'outbound', state: 'active', reason: null, since: null },
          ...{ failing_since: null, probe_at: null, url: null, waiting: 1, oldest_due_at: expect.any(String) },
          ...unknown,
        },
      ],
      next_cursor: null,
    })
  })

  test('judges each route by its own attempts, of its newest deliveries that were tried', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/' })
    const attempt = (id: string, number: number, result: string, ms: number) =>
      database.pool.query(
        `with recorded as (
           insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result)
           values (1, $1, gen_random_uuid(), $2, now(), $3, 'https://e.example/', $4)
         )
         update webhook_due set attempt_count = $2 where business_id = 1 and id = $1`,
        [id, number, ms, result],
      )
    // Older than the 200 newest ones.
    const old = await enqueue(database, '1', 'CAold')
    await attempt(old, 1, 'timeout', 15_000)
    for (let n = 1; n <= 200; n++) {
      const id = await enqueue(database, '1', `CA${n}`)
      await attempt(id, 1, n % 4 === 0 ? 'http_error' : 'ok', n)
    }
    const outbound = await enqueue(database, '1', 'CAout', 'outbound')
    await attempt(outbound, 1, 'connect', 3)
    // A backlog that was not tried tells nothing.
    for (let n = 1; n <= 201; n++) await enqueue(database, '1', `CA-waits-${n}`)
    // Of one delivery the last ten count.
    for (let number = 2; number <= 11; number++) await attempt(outbound, number, 'ok', 5)
    expect((await list()).items).toMatchObject([
      { direction: 'inbound', recent_attempts: 200, success_rate: 0.75, p95_ms: 190 },
      { direction: 'outbound', recent_attempts: 10, success_rate: 1, p95_ms: 5 },
    ])
  })

  test('says what a filter takes', async () => {
    const { status, json } = await api.send('GET', '/admin/routes?business_id=x&state=lost')
    expect(status).toBe(400)
    expect(json.errors).toEqual([
      { field: 'state', detail: 'got "lost"; expected active, failing or parked' },
      { field: 'business_id', detail: 'got "x"; expected a whole number from 1 to 9223372036854775807' },
    ])
  })

  test('counts what waits to 10000', async () => {
    await database.pool.query(`insert into routes (business_id, direction) values (3, 'inbound')`)
    await database.pool.query(
      `select count(callbox_enqueue(3, 'CA' || n, 'call.completed', 'inbound', '{}')) from generate_series(1, 10001) n`,
    )
    expect((await list()).items[0].waiting).toBe(10_000)
  })

  test('filters and pages by key', async () => {
    for (const business of ['9', '10', '11', '9223372036854775807']) await putBusiness(database, business, {})
    await trouble('10', 'failing')
    await trouble('9', 'parked', 'outbound')
    await trouble('11', 'parked')
    expect(names(await list('?state=parked'))).toEqual(['9:outbound', '11:inbound'])
    expect(names(await list('?state=failing'))).toEqual(['10:inbound'])
    expect(names(await list('?state=active&direction=outbound&business_id=10'))).toEqual(['10:outbound'])
    expect(names(await list('?state=parked&business_id=10'))).toEqual([])

    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const answer: Awaited<ReturnType<typeof list>> = await list(`?limit=3${cursor && `&cursor=${cursor}`}`)
      seen.push(...names(answer))
      cursor = answer.next_cursor
    }
    const both = (business: string) => [`${business}:inbound`, `${business}:outbound`]
    expect(seen).toEqual(['9', '10', '11', '9223372036854775807'].flatMap(both))
  })
})

describe('park and unpark', () => {
  beforeEach(async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/' })
  })

  test('park says who did it, unless a reason is given; once more changes nothing', async () => {
    await trouble('1', 'failing')
    const parked = await order('park', '1/inbound')
    expect(parked.status).toBe(200)
    expect(parked.json).toMatchObject({ state: 'parked', reason: 'parked by night', probe_at: null })
    expect(parked.json).toEqual((await list('?state=parked')).items[0])
    const row = await stored('1')
    expect(row).toMatchObject({ state: 'parked', health_version: 8 })

    const again = await order('park', '1/inbound', { reason: 'another one' }, { authorization: `Bearer ${otherToken}` })
    expect(again.status).toBe(200)
    expect(again.json).toEqual(parked.json)
    expect(await stored('1')).toEqual(row)
    const lines = api.logs.filter((line) => line.includes('admin.route_parked')).map((line) => JSON.parse(line))
    expect(lines).toMatchObject([
      { operator: 'night', business_id: '1', direction: 'inbound', changed: true },
      { operator: 'day', business_id: '1', direction: 'inbound', changed: false },
    ])
    expect((await order('park', '1/outbound', { reason: 'they move house' })).json.reason).toBe('they move house')
  })

  test.each(['parked', 'failing'])('unpark makes a %s route active, and leaves an active one alone', async (state) => {
    await trouble('1', state)
    const answer = await order('unpark', '1/inbound')
    expect(answer.status).toBe(200)
    expect(answer.json).toMatchObject({ state: 'active', reason: null, failing_since: null, probe_at: null })
    const row = await stored('1')
    expect(row).toMatchObject({ state: 'active', probes: 0, health_version: 8 })
    expect((await order('unpark', '1/inbound')).json).toEqual(answer.json)
    expect(await stored('1')).toEqual(row)
  })

  test('of a business that there is not: 404; of a route that nobody has made yet: fine', async () => {
    for (const what of ['park', 'unpark'] as const) {
      expect((await order(what, '404/inbound')).status).toBe(404)
    }
    expect((await list('?business_id=404')).items).toEqual([])
    await database.pool.query('delete from routes')
    expect((await order('park', '1/outbound')).json).toMatchObject({ state: 'parked', waiting: 0 })
  })

  test('what is not understood is refused, and changes nothing', async () => {
    const before = await stored('1')
    for (const route of ['1/sideways', '0/inbound', 'x/inbound']) {
      expect([route, (await order('park', route)).status]).toEqual([route, 400])
    }
    for (const reason of ['', '  ', 7, null, 'x'.repeat(201), 'a\0b']) {
      expect([reason, (await order('park', '1/inbound', { reason })).status]).toEqual([reason, 400])
    }
    expect((await order('park', '1/inbound', { because: 'x' })).status).toBe(400)
    expect((await order('park', '1/inbound', '{"reason":"x"}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await api.send('GET', '/admin/routes/1/inbound/park')).headers.get('allow')).toBe('POST')
    expect((await api.send('POST', '/admin/routes', {})).headers.get('allow')).toBe('GET')
    expect(await stored('1')).toEqual(before)
  })
})

describe('PUT of a business', () => {
  const put = (business: string, body: unknown) => api.send('PUT', `/admin/businesses/${business}`, body)
  const url = (path: string) => `https://e.example/${path}`
  const states = async (business: string) => {
    const sql = 'select state, health_version from routes where business_id = $1 order by direction'
    return (await database.pool.query(sql, [business])).rows.map((row) => [row.state, row.health_version])
  }
  const bothIn = async (business: string, state: string) => {
    await trouble(business, state)
    await trouble(business, state, 'outbound')
  }

  test.each(['parked', 'failing'])('a changed effective URL makes a %s route active, and no other', async (state) => {
    await put('5', { inbound_webhook_url: url('in'), outbound_webhook_url: url('out') })
    await bothIn('5', state)
    const untouched = [state, 7]
    await put('5', { name: 'x', inbound_webhook_url: url('in'), generic_webhook_url: url('unused') })
    expect(await states('5')).toEqual([untouched, untouched])
    await put('5', { outbound_webhook_url: url('new') })
    expect(await states('5')).toEqual([untouched, ['active', 8]])
    // The generic one takes the place of the inbound one.
    await put('5', { inbound_webhook_url: null })
    expect(await states('5')).toEqual([
      ['active', 8],
      ['active', 8],
    ])
    expect(await stored('5')).toMatchObject({ state_reason: null, failing_since: null, probes: 0, probe_at: null })
  })

  test('an active route forgets the failures of its former endpoint; a new one has none', async () => {
    await put('6', { inbound_webhook_url: url('in') })
    expect(await states('6')).toEqual([
      ['active', 0],
      ['active', 0],
    ])
    await put('6', { inbound_webhook_url: url('other') })
    expect(await states('6')).toEqual([
      ['active', 1],
      ['active', 0],
    ])
    expect((await stored('6')).state_since).toBeNull()
  })

  test('a parked route that loses its URL stays parked, and is unparked by the next one', async () => {
    await put('7', { inbound_webhook_url: url('in'), outbound_webhook_url: url('out') })
    await trouble('7', 'parked')
    await trouble('7', 'failing', 'outbound')
    await put('7', { inbound_webhook_url: null, outbound_webhook_url: null })
    expect(await states('7')).toEqual([
      ['parked', 7],
      ['active', 8],
    ])
    await put('7', { inbound_webhook_url: url('in') })
    expect((await states('7'))[0]).toEqual(['active', 8])
  })

  test('a refused change resets nothing', async () => {
    await put('8', { inbound_webhook_url: url('in') })
    await put('9', { phone_numbers: ['+15550000009'] })
    await trouble('8', 'parked')
    const refused = await put('8', { inbound_webhook_url: url('new'), phone_numbers: ['+15550000009'] })
    expect(refused.status).toBe(409)
    expect((await states('8'))[0]).toEqual(['parked', 7])
    await emptyTables(database, 'phone_numbers')
  })
})

test('a delivery of a route in trouble says what it waits for', async () => {
  await putBusiness(database, '1', { inbound: 'https://e.example/' })
  const id = await enqueue(database, '1', 'CA1')
  const requeue = async () => (await api.send('POST', `/admin/deliveries/${id}/requeue`)).json
  const look = async () => (await api.send('GET', `/admin/deliveries/${id}`)).json
  for (const ask of [requeue, look]) expect(await ask()).toMatchObject({ status: 'pending', waits_for: null })
  await database.pool.query(
    `update routes set state = 'failing', state_reason = 'HTTP 500', probe_at = '2030-01-01T00:00:00Z'`,
  )
  const probe = 'one delivery at a time is tried, the next at 2030-01-01T00:00:00.000Z'
  for (const ask of [requeue, look]) {
    expect(await ask()).toMatchObject({ waits_for: `its endpoint to answer again: HTTP 500; ${probe}` })
  }
  await order('park', '1/inbound', { reason: 'they move house' })
  for (const ask of [requeue, look]) {
    expect(await ask()).toMatchObject({ waits_for: 'its route to be unparked: they move house' })
  }
  await setDeliveries(database, 'true', [], { status: 'delivered' })
  expect(await look()).toMatchObject({ status: 'delivered', waits_for: null })
})
