import { readFileSync } from 'node:fs'
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { requeueDelivery } from '../src/outbox/requeue.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { dueChanges, watchDueRows } from './helpers/due-changes.ts'
import { type DeliveryState, setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

const enqueue = async (
  business: number,
  call: string,
  direction = 'inbound',
  payload = '{}',
  type = 'call.completed',
) => {
  const sql = 'select callbox_enqueue($1, $2, $3, $4, $5) as id'
  const { rows } = await database.pool.query(sql, [business, call, type, direction, payload])
  return String(rows[0].id)
}
const set = (id: string, state: DeliveryState) => setDeliveries(database, 'id = $1', [id], state)
const stored = async (id: string) =>
  (
    await database.pool.query(
      `select status, reason, version::float8 as version, attempt_count::int as attempt_count, step, requeued, finished_at,
              (select payload::text from webhook_outbox o where o.id = v.id) as payload,
              due_at <= now() as is_due, due_at::text as due
       from webhook_deliveries v where id = $1`,
      [id],
    )
  ).rows[0]
/** The database clock in microseconds. */
const clock = async () =>
  (await database.pool.query('select (extract(epoch from clock_timestamp()) * 1000000)::float8 as us')).rows[0].us
const get = (id: string) => api.send('GET', `/admin/deliveries/${id}`)
const requeue = (id: string) => api.send('POST', `/admin/deliveries/${id}/requeue`)
const attempt = (id: string, number: number, columns: Record<string, unknown> = {}) =>
  database.knex('callbox.webhook_attempts').insert({
    business_id: 1,
    delivery_id: id,
    id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    number,
    started_at: '2025-12-10T14:23:45.678Z',
    duration_ms: 12,
    url: 'https://e.example/x',
    result: 'http_error',
    status_code: 500,
    ...columns,
  })

describe('one delivery', () => {
  test('with its payload byte for byte', async () => {
    const sample = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8').trim()
    const odd = '{"b": 12345678901234567890.50, "a":1e400,"1":"\\u0000\\ud800", "a" : [ ]\n}'
    for (const [call, payload] of [
      ['CAsample', sample],
      ['CAodd', odd],
    ] as const) {
      const id = await enqueue(1, call, 'inbound', payload)
      const answer = await get(id)
      expect(answer.status).toBe(200)
      expect(answer.text).toContain(`,"payload":${payload},"attempts":[]}`)
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    }
  })

  test('in the words of the contract', async () => {
    const id = await enqueue(1, 'CA1', 'outbound', '{"a":1}')
    expect((await get(id.toUpperCase())).json).toEqual({
      id,
      waits_for: null,
      business_id: '1',
      call_sid: 'CA1',
      event_type: 'call.completed',
      direction: 'outbound',
      status: 'pending',
      reason: 'waiting',
      operator: null,
      attempt_count: 0,
      last_status_code: null,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      due_at: expect.stringMatching(/Z$/),
      finished_at: null,
      payload: { a: 1 },
      attempts: [],
    })
  })

  test('with its attempts in order, their bytes as far as they are text', async () => {
    const id = await enqueue(1, 'CAattempts')
    await attempt(id, 2, { result: 'timeout', status_code: null, error: 'no answer in 15 s' })
    await attempt(id, 1, { response_excerpt: Buffer.from([0x68, 0x69, 0x00, 0xff, 0xd7]) })
    expect((await get(id)).json.attempts).toEqual([
      {
        id: '00000000-0000-4000-8000-000000000001',
        number: 1,
        started_at: '2025-12-10T14:23:45.678Z',
        duration_ms: 12,
        url: 'https://e.example/x',
        result: 'http_error',
        status_code: 500,
        error: null,
        response_excerpt: 'hi\0\ufffd\ufffd',
      },
      expect.objectContaining({ number: 2, result: 'timeout', error: 'no answer in 15 s', response_excerpt: null }),
    ])
  })

  test('unknown: 404; no UUID: 400', async () => {
    expect((await get('11111111-1111-8111-8111-111111111111')).status).toBe(404)
    expect((await requeue('11111111-1111-8111-8111-111111111111')).status).toBe(404)
    expect((await get('1')).status).toBe(400)
    expect((await requeue("1';--")).status).toBe(400)
  })
})

describe('the list', () => {
  const ids = async (query: string): Promise<string[]> => {
    const answer = await api.send('GET', `/admin/deliveries?${query}`)
    expect(answer.status).toBe(200)
    return answer.json.items.map((one: { id: string }) => one.id)
  }

  test('filters by everything, alone and together', async () => {
    const a = await enqueue(50, 'CAa', 'inbound')
    const b = await enqueue(50, 'CAb', 'outbound')
    const c = await enqueue(50, 'CAa', 'inbound', '{}', 'call.ended')
    const d = await enqueue(51, 'CAa', 'inbound')
    await set(a, { status: 'failed', reason: 'the schedule is used up', finished_at: '2025-01-01T00:00:00Z' })
    await set(b, { status: 'skipped', created_at: '2024-05-05T05:05:05.000005Z' })
    await set(d, { status: 'delivered' })
    expect(await ids('business_id=50')).toEqual([c, a, b])
    expect(await ids('business_id=51')).toEqual([d])
    expect(await ids('call_sid=CAa')).toEqual([d, c, a])
    expect(await ids('call_sid=CAa&event_type=call.ended')).toEqual([c])
    expect(await ids('status=failed')).toEqual([a])
    expect(await ids('status=delivered')).toEqual([d])
    expect(await ids('status=skipped&direction=outbound')).toEqual([b])
    expect(await ids('business_id=50&status=pending')).toEqual([c])
    expect(await ids('until=2024-05-05T05:05:05.000006Z')).toEqual([b])
    expect(await ids('until=2024-05-05T05:05:05.000005Z')).toEqual([])
    expect(await ids('since=2024-05-05T05:05:05.000005Z&until=2024-05-05T05:05:06Z')).toEqual([b])
    expect(await ids('since=2024-05-05T05:05:05.000006Z&until=2024-05-05T05:05:06Z')).toEqual([])
    expect(await ids('call_sid=%27%20or%201=1')).toEqual([])
    const { json } = await api.send('GET', '/admin/deliveries?status=failed')
    expect(json).toEqual({
      items: [expect.objectContaining({ reason: 'the schedule is used up', finished_at: '2025-01-01T00:00:00.000Z' })],
      next_cursor: null,
    })
    expect(Object.keys(json.items[0])).not.toContain('payload')
  })

  test('pages by key: rows of one microsecond and rows that come meanwhile neither hide nor repeat one', async () => {
    const all: string[] = []
    for (let n = 0; n < 11; n++) all.push(await enqueue(60, `CA${n}`))
    await database.pool.query(
      `update webhook_outbox set created_at = '2025-06-06T06:06:06.123456Z' where business_id = 60`,
    )
    for (const limit of [1, 3, 11, 200]) {
      const seen: string[] = []
      let cursor: string | null = ''
      let pages = 0
      do {
        const path: string = `/admin/deliveries?business_id=60&until=2025-07-01T00:00:00Z&limit=${limit}&cursor=${cursor}`
        const { json } = await api.send('GET', cursor ? path : path.replace('&cursor=', ''))
        expect(json.items.length).toBeLessThanOrEqual(limit)
        seen.push(...json.items.map((one: { id: string }) => one.id))
        cursor = json.next_cursor
        await enqueue(60, `later ${limit} ${pages++}`)
      } while (cursor !== null)
      expect(pages).toBe(Math.ceil(11 / limit))
      expect(seen).toEqual([...all].sort().reverse())
    }
  })

  test('50 a page unless told', async () => {
    for (let n = 0; n < 51; n++) await enqueue(70, `CA${n}`)
    expect(await ids('business_id=70')).toHaveLength(50)
  })
})

describe('the list, when 100,000 others are newer', () => {
  beforeAll(async () => {
    for (const [call, type] of [
      ['CAold1', 'call.rare'],
      ['CAold2', 'call.completed'],
    ] as const) {
      await enqueue(90, call, 'inbound', '{}', type)
    }
    await database.pool.query(`update webhook_outbox set created_at = '2024-01-01T00:00:00Z' where business_id = 90`)
    await database.pool.query(
      `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, created_at)
       select 91, gen_random_uuid(), 'CA' || n, 'call.completed', 'inbound', timestamptz '2024-02-01T00:00:00Z' + n * interval '1 second'
       from generate_series(1, 100010) n`,
    )
  })
  const page = async (query: string) => {
    const { json } = await api.send('GET', `/admin/deliveries?until=2024-03-15T00:00:00Z&${query}`)
    return { calls: json.items.map((one: { call_sid: string }) => one.call_sid), next: json.next_cursor }
  }

  test('one of its business, its call or its status is found at once', async () => {
    expect(await page('business_id=90')).toEqual({ calls: ['CAold2', 'CAold1'], next: null })
    expect(await page('business_id=90&event_type=call.rare')).toEqual({ calls: ['CAold1'], next: null })
    expect(await page('call_sid=CAold2')).toEqual({ calls: ['CAold2'], next: null })
    expect(await page('status=pending')).toEqual({ calls: ['CAold2', 'CAold1'], next: null })
    expect(await page('status=pending&business_id=91')).toEqual({ calls: [], next: null })
  })

  test('what no index leads to is looked for page by page, each bounded', async () => {
    const pages = [await page('event_type=call.rare')]
    for (let next = pages[0]?.next; next; next = pages.at(-1)?.next) {
      pages.push(await page(`event_type=call.rare&cursor=${next}`))
    }
    // 10,000 rows each; 12 of these and of other tests remain.
    expect(pages.map(({ calls }) => calls)).toEqual([...Array(10).fill([]), ['CAold1']])
    const limited = await page('limit=2')
    expect([limited.calls.length, limited.next]).toEqual([2, expect.any(String)])
    expect((await page(`limit=200&cursor=${limited.next}`)).calls).toHaveLength(200)
  })
})

describe('requeue', () => {
  test.each(['delivered', 'failed', 'skipped'] as const)(
    'a %s one begins anew, with the same id, bytes and attempts',
    async (status) => {
      const id = await enqueue(80, `CA${status}`, 'inbound', '{"b": 1,"a":2}')
      await set(id, {
        ...{ status, attempt_count: 8, reason: status === 'delivered' ? null : 'why' },
        finished_at: '2025-01-01T00:00:00Z',
      })
      const before = await clock()
      const answer = await requeue(id)
      expect(answer.status).toBe(200)
      expect(answer.json).toMatchObject({
        id,
        status: 'pending',
        attempt_count: 8,
        reason: 'waiting',
        finished_at: null,
      })
      expect(await stored(id)).toMatchObject({
        ...{ status: 'pending', reason: null, attempt_count: 8, step: 0, requeued: true },
        ...{ finished_at: null, payload: '{"b": 1,"a":2}', is_due: true },
      })
      const { version } = await stored(id)
      expect(version).toBeGreaterThanOrEqual(before)
      expect(version).toBeLessThanOrEqual(await clock())
    },
  )

  test('a waiting one is due now, and its schedule goes on', async () => {
    const id = await enqueue(80, 'CAwaiting')
    await set(id, { due_at: `now() + interval '5 hours'`, version: 3, attempt_count: 3, step: 3 })
    expect((await requeue(id)).json).toMatchObject({ status: 'pending', attempt_count: 3 })
    expect(await stored(id)).toMatchObject({ version: 4, step: 3, requeued: false, is_due: true })
  })

  test('one that is due may be in flight: it is left alone, so its settle still fits', async () => {
    const id = await enqueue(80, 'CAdue')
    const before = await stored(id)
    expect((await requeue(id)).status).toBe(200)
    expect(await stored(id)).toEqual(before)
  })

  test('ten at once are one', async () => {
    const id = await enqueue(80, 'CAten')
    await set(id, { status: 'failed', finished_at: '2025-01-01T00:00:00Z' })
    await watchDueRows(database)
    const answers = await Promise.all(Array.from({ length: 10 }, () => requeue(id)))
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(await dueChanges(database)).toEqual({ 1: 1 })
  })

  test('one that began before another, and comes after it, leaves alone what is due by then', async () => {
    const id = await enqueue(80, 'CAbefore')
    await set(id, { status: 'failed', finished_at: '2025-01-01T00:00:00Z' })
    await database.knex.transaction(async (trx) => {
      await trx.raw('select now()')
      await requeue(id)
      const { version } = await stored(id)
      expect(await requeueDelivery(trx, '80', id)).toMatchObject({ outcome: 'due', changed: false })
      expect((await trx('callbox.webhook_due').where({ id }).first()).version).toBe(String(version))
    })
  })

  test('without a payload there is nothing to send: 409', async () => {
    const id = await enqueue(80, 'CAgone')
    await set(id, { status: 'delivered', emptied: true })
    const before = await stored(id)
    expect((await requeue(id)).status).toBe(409)
    expect(await stored(id)).toEqual(before)
    expect((await get(id)).json.payload).toBeNull()
  })

  test('hints its route after the commit, and sees that there is one', async () => {
    const id = await enqueue(81, 'CAhint', 'outbound')
    await set(id, { status: 'failed', finished_at: '2025-01-01T00:00:00Z' })
    // The unit that a dispatcher reads; the delivery itself is found by its business's other route.
    await enqueue(81, 'CAother', 'inbound')
    await database.pool.query(`delete from routes where business_id = 81 and direction = 'outbound'`)
    const listener = new pg.Client(database.url)
    await listener.connect()
    await listener.query('listen callbox_outbox')
    const heard = new Promise((resolve) => listener.once('notification', resolve))
    await requeue(id)
    expect(await heard).toMatchObject({ payload: '81:outbound' })
    await listener.end()
    const { rows } = await database.pool.query('select direction from routes where business_id = 81 order by 1')
    expect(rows).toEqual([{ direction: 'inbound' }, { direction: 'outbound' }])
    const line = JSON.parse(api.logs.findLast((text) => text.includes('admin.delivery_requeued')) ?? '')
    expect(line).toMatchObject({ operator: 'night', delivery_id: id, changed: true })
  })
})
