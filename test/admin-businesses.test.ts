import { beforeAll, describe, expect, test } from 'vitest'
import { sealedPlace } from '../src/database/sealing.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

const put = (id: number | string, body: unknown) => api.send('PUT', `/admin/businesses/${id}`, body)
const get = async (id: number | string) => (await api.send('GET', `/admin/businesses/${id}`)).json
const row = async (id: number) =>
  (await database.pool.query('select * from businesses where business_id = $1', [id])).rows[0]
const enqueue = (business: number, call: string, direction: string) =>
  database.pool.query('select callbox_enqueue($1, $2, $3, $4, $5)', [business, call, 'call.completed', direction, '{}'])

test('the language that the transcription service rejected is shown as such, until it is another', async () => {
  await api.send('PUT', '/admin/businesses/47', { language: 'nb' })
  await database.knex('callbox.businesses').where({ business_id: '47' }).update({ rejected_language: 'nb' })
  const shown = async () => (await api.send('GET', '/admin/businesses/47')).json
  expect(await shown()).toMatchObject({ language: 'nb', language_rejected: true })
  await api.send('PUT', '/admin/businesses/47', { language: 'no' })
  expect(await shown()).toMatchObject({ language: 'no', language_rejected: false })
})

describe('PUT creates', () => {
  test('with everything given; secrets do not come back', async () => {
    const signingSecret = `whsec_${Buffer.alloc(24, 1).toString('base64')}`
    const created = await put(10, {
      name: 'תיווך הצפון 🏠',
      phone_numbers: ['+97231234567', '+972501234567'],
      inbound_webhook_url: 'HTTPS://N8N.Example:443/webhook/a b',
      outbound_webhook_url: 'http://n8n.example:8080/out?x=1',
      generic_webhook_url: null,
      headers: { 'X-Auth': 'the header value', authorization: 'Basic abc=' },
      signing_secret: signingSecret,
      language: 'he',
      service_categories: ['שיווק נכס', 'ניהול'],
      max_concurrency: 8,
      rate_per_second: 2.5,
    })
    expect(created.status).toBe(201)
    const expected = {
      business_id: '10',
      name: 'תיווך הצפון 🏠',
      phone_numbers: ['+97231234567', '+972501234567'],
      inbound_webhook_url: 'https://n8n.example/webhook/a%20b',
      outbound_webhook_url: 'http://n8n.example:8080/out?x=1',
      generic_webhook_url: null,
      header_names: ['X-Auth', 'authorization'],
      language: 'he',
      language_rejected: false,
      service_categories: ['שיווק נכס', 'ניהול'],
      max_concurrency: 8,
      rate_per_second: 2.5,
      previous_secret_until: null,
      created_at: expect.stringMatching(/Z$/),
      updated_at: expect.stringMatching(/Z$/),
    }
    expect(created.json).toEqual({ ...expected, skipped_deliveries_that_fit: { inbound: 0, outbound: 0 } })
    const seen = await api.send('GET', '/admin/businesses/10')
    expect(seen.json).toEqual(expected)
    const listed = await api.send('GET', '/admin/businesses')
    expect(listed.json.items).toContainEqual(expected)

    const stored = await row(10)
    expect(api.sealer.open(stored.signing_secret_sealed, sealedPlace.signingSecret('10'))).toBe(signingSecret)
    expect(JSON.parse(api.sealer.open(stored.headers_sealed, sealedPlace.headers('10')))).toEqual({
      'X-Auth': 'the header value',
      authorization: 'Basic abc=',
    })
    for (const text of [created.text, seen.text, listed.text, api.logs.join(''), JSON.stringify(stored)]) {
      expect(text).not.toMatch(/the header value|whsec_|Basic abc/)
    }
    expect(api.logs.join('')).not.toMatch(/97231234567|n8n/)
  })

  test('with nothing given: both routes are there and a secret is made and shown once', async () => {
    const created = await put(11, {})
    expect(created.status).toBe(201)
    expect(created.json).toMatchObject({
      phone_numbers: [],
      inbound_webhook_url: null,
      header_names: [],
      language: '',
      service_categories: [],
      max_concurrency: null,
      rate_per_second: null,
    })
    const secret: string = created.json.signing_secret
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(api.sealer.open((await row(11)).signing_secret_sealed, sealedPlace.signingSecret('11'))).toBe(secret)
    expect(await get(11)).not.toHaveProperty('signing_secret')
    expect((await put(11, { name: 'x' })).json).not.toHaveProperty('signing_secret')
    const { rows } = await database.pool.query('select direction, slot from routes where business_id = 11 order by 1')
    expect(rows).toEqual([
      { direction: 'inbound', slot: 11 },
      { direction: 'outbound', slot: 11 },
    ])
  })

  test('one business, if ten do so at once', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => put(12, { name: `n${n}` })))
    expect(answers.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 201])
    expect((await row(12)).revision).toBe(9)
  })

  test('the biggest id there is', async () => {
    expect((await put('9223372036854775807', {})).json.business_id).toBe('9223372036854775807')
  })
})

describe('PUT changes', () => {
  test('only what it names; null clears; each change counts the revision up', async () => {
    await put(20, {
      name: 'a',
      phone_numbers: ['+15550000020'],
      generic_webhook_url: 'https://e.example/',
      headers: { a: 'b' },
      language: 'en',
      service_categories: ['x'],
      max_concurrency: 1,
      rate_per_second: 30,
    })
    const before = await row(20)
    const changed = await put(20, { name: 'b', rate_per_second: null })
    expect(changed.status).toBe(200)
    expect(changed.json).toMatchObject({
      name: 'b',
      phone_numbers: ['+15550000020'],
      generic_webhook_url: 'https://e.example/',
      header_names: ['a'],
      language: 'en',
      service_categories: ['x'],
      max_concurrency: 1,
      rate_per_second: null,
    })
    const after = await row(20)
    expect(after.revision).toBe(before.revision + 1)
    expect(after.updated_at.getTime()).toBeGreaterThan(before.updated_at.getTime())
    expect(after.signing_secret_sealed).toEqual(before.signing_secret_sealed)

    const cleared = await put(20, {
      name: null,
      phone_numbers: null,
      generic_webhook_url: null,
      headers: null,
      language: null,
      service_categories: null,
      max_concurrency: null,
    })
    expect(cleared.json).toMatchObject({
      name: '',
      phone_numbers: [],
      generic_webhook_url: null,
      header_names: [],
      language: '',
      service_categories: [],
      max_concurrency: null,
    })
    expect((await row(20)).headers_sealed).toBeNull()
  })

  test('null for the secret makes and shows a new one', async () => {
    const first = (await put(21, {})).json.signing_secret
    const second = (await put(21, { signing_secret: null })).json.signing_secret
    expect(second).toMatch(/^whsec_/)
    expect(second).not.toBe(first)
    expect(api.sealer.open((await row(21)).signing_secret_sealed, sealedPlace.signingSecret('21'))).toBe(second)
  })

  test('the rate may be a preset, and is shown as a number', async () => {
    expect((await put(50, { rate_per_second: 'zapier' })).json.rate_per_second).toBe(30)
    expect((await put(50, { rate_per_second: 0.5 })).json.rate_per_second).toBe(0.5)
  })

  test('phone numbers are replaced as a whole, and may move to another business', async () => {
    await put(22, { phone_numbers: ['+15550000221', '+15550000222'] })
    expect((await put(22, { phone_numbers: ['+15550000222', '+15550000223'] })).json.phone_numbers).toEqual([
      '+15550000222',
      '+15550000223',
    ])
    expect((await put(23, { phone_numbers: ['+15550000221'] })).status).toBe(201)
  })

  test("another business's number is 409, names its place, and changes nothing", async () => {
    await put(24, { phone_numbers: ['+15550000024'] })
    await put(25, { name: 'before' })
    const answer = await put(25, { name: 'after', phone_numbers: ['+15550000025', '+15550000024'] })
    expect(answer.status).toBe(409)
    expect(answer.json.errors).toEqual([{ field: 'phone_numbers[1]', detail: expect.any(String) }])
    expect(answer.text).not.toContain('15550000024')
    expect(await get(25)).toMatchObject({ name: 'before', phone_numbers: [] })
    expect((await put(26, { phone_numbers: ['+15550000024'] })).status).toBe(409)
    expect((await api.send('GET', '/admin/businesses/26')).status).toBe(404)
  })

  test('two businesses that want one number at once: one gets it', async () => {
    const answers = await Promise.all([27, 28].map((id) => put(id, { phone_numbers: ['+15550000027'] })))
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
  })

  test('unmatched callbacks of its numbers, and those that name it, are matched again', async () => {
    const insert = `insert into twilio_callbacks (kind, call_sid, from_number, to_number, url_business_id, query, body, state)
                    values ('call_status', $1, $2, $3, $4, '', '', 'unmatched')`
    await database.pool.query(insert, ['CAto', '+1999', '+15550000029', null])
    await database.pool.query(insert, ['CAfrom', '+15550000029', '+1999', null])
    await database.pool.query(insert, ['CAurl', '+1999', '+1999', '29'])
    await database.pool.query(insert, ['CAother', '+1999', '+1999', null])
    await put(29, { phone_numbers: ['+15550000029'] })
    const { rows } = await database.pool.query(`select call_sid from twilio_callbacks where state = 'new' order by 1`)
    expect(rows.map((one) => one.call_sid)).toEqual(['CAfrom', 'CAto', 'CAurl'])
  })
})

describe('skipped deliveries that a new URL would fit', () => {
  const skip = async (business: number, call: string, direction: string, hasPayload = true) => {
    await enqueue(business, call, direction)
    const state = { status: 'skipped', emptied: !hasPayload } as const
    await setDeliveries(database, 'business_id = $1 and call_sid = $2', [business, call], state)
  }

  test('are counted by direction, revived by nothing', async () => {
    await skip(30, 'CA1', 'inbound')
    await skip(30, 'CA2', 'inbound')
    await skip(30, 'CA3', 'outbound')
    await skip(30, 'CA4', 'inbound', false)
    await skip(31, 'CA1', 'inbound')
    const fit = async (body: unknown) => (await put(30, body)).json.skipped_deliveries_that_fit
    expect(await fit({ name: 'no URL yet' })).toEqual({ inbound: 0, outbound: 0 })
    expect(await fit({ generic_webhook_url: 'https://e.example/' })).toEqual({ inbound: 2, outbound: 0 })
    expect(await fit({ name: 'no new URL' })).toEqual({ inbound: 0, outbound: 0 })
    expect(await fit({ outbound_webhook_url: 'https://e.example/' })).toEqual({ inbound: 0, outbound: 1 })
    expect(await fit({ inbound_webhook_url: 'https://f.example/' })).toEqual({ inbound: 2, outbound: 0 })
    expect(await fit({ generic_webhook_url: 'https://g.example/' })).toEqual({ inbound: 0, outbound: 0 })
    const { rows } = await database.pool.query('select distinct status from webhook_deliveries where business_id = 30')
    expect(rows).toEqual([{ status: 'skipped' }])
  })
})

describe('PUT refuses', () => {
  const url = (value: unknown) => ({ inbound_webhook_url: value })
  const long = 'x'.repeat(2_048)
  const refused: (readonly [string, unknown])[] = [
    ...[
      'ftp://e.example/',
      'javascript:alert(1)',
      '/relative',
      'e.example',
      'https://',
      'https://user@e.example/',
      'https://user:secretword@e.example/',
      'https://e.example:0/',
      'https://e.example:65536/',
      'https://e.example:x/',
      `https://e.example/${long}`,
      `https://e.example/${'é'.repeat(1_000)}`,
      'https://e .example/',
      '',
      7,
      ['https://e.example/'],
    ].map((value) => ['inbound_webhook_url', url(value)] as const),
    ...[
      { 'webhook-id': 'x' },
      { 'Webhook-Anything': 'x' },
      { 'Content-Type': 'text/plain' },
      { 'content-length': '1' },
      { Host: 'x' },
      { connection: 'close' },
      { 'Transfer-Encoding': 'chunked' },
      { 'proxy-authorization': 'x' },
      { 'x y': 'x' },
      { 'x:': 'x' },
      { é: 'x' },
      { '': 'x' },
      { 'x\r\ny': 'x' },
      { x: 'secretword\r\ninjected: yes' },
      { x: 'a\nb' },
      { x: 'a\0b' },
      { x: 'é' },
      { x: ' a' },
      { x: 'a\t' },
      { x: 1 },
      { x: null },
      { x: 'a'.repeat(4_097) },
      { 'X-A': '1', 'x-a': '2' },
      Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`x-${n}`, 'a'])),
      Object.fromEntries(Array.from({ length: 3 }, (_, n) => [`x-${n}`, 'a'.repeat(4_000)])),
      ['x'],
      'x: y',
    ].map((value) => ['headers', { headers: value }] as const),
    ...[
      'whsec_',
      'secretword',
      `whsec_${Buffer.alloc(23).toString('base64')}`,
      `whsec_${Buffer.alloc(65).toString('base64')}`,
      `whsec_${'*'.repeat(32)}`,
      `whsec_${Buffer.alloc(25).toString('base64').replace(/=/g, '')}`,
      ` whsec_${Buffer.alloc(24).toString('base64')}`,
      1,
    ].map((value) => ['signing_secret', { signing_secret: value }] as const),
    ...[
      ['0501234567'],
      ['+0501234567'],
      ['+1 555 000'],
      ['+123456'],
      [`+1${'0'.repeat(15)}`],
      [1],
      'x',
      ['+15551', null],
    ].map((value) => ['phone_numbers', { phone_numbers: value }] as const),
    ['phone_numbers', { phone_numbers: ['+15550000001', '+15550000001'] }],
    ...['HE', 'heb', 'xx', 'iw', 'h', ' he', 1].map((value) => ['language', { language: value }] as const),
    ...[['a', 'a'], [''], [' a'], ['x'.repeat(101)], 'a', [1], ['a\0b'], ['\ud800'], Array(101).fill('a')].map(
      (value) => ['service_categories', { service_categories: value }] as const,
    ),
    ...[0, -1, 1.5, 10_001, '5', 1e300, true].map(
      (value) => ['max_concurrency', { max_concurrency: value }] as [string, unknown],
    ),
    ...[0, -1, 10_001, '5', 'n8n', 'Zapier', 1e-300].map(
      (value) => ['rate_per_second', { rate_per_second: value }] as [string, unknown],
    ),
    ...['a\0b', '\ud800', 'x'.repeat(201), 5].map((value) => ['name', { name: value }] as const),
    ['webhook_url', { webhook_url: 'https://e.example/secretword' }],
    ['business_id', { business_id: '99' }],
  ]
  test.each(refused)('a bad %s: %j', async (field, body) => {
    const answer = await put(99, body)
    expect(answer.status).toBe(400)
    expect(answer.json.errors[0].field).toMatch(new RegExp(`^${field}`))
    expect(answer.json.errors[0].detail).toMatch(/expected .+/)
    expect(answer.text).not.toContain('secretword')
  })

  test('numbers that JSON can write and nobody can hold', async () => {
    expect((await put(99, '{"rate_per_second": 1e999}')).status).toBe(400)
    expect((await put(99, '{"__proto__": {"name": "x"}}')).status).toBe(400)
  })

  test('and nothing of all this was stored', async () => {
    expect((await api.send('GET', '/admin/businesses/99')).status).toBe(404)
  })
})

test('the list pages, newest first, and what arrives meanwhile moves nothing', async () => {
  await database.pool.query(`update businesses set created_at = now() - interval '1 day'`)
  for (let id = 101; id <= 105; id++) await put(id, {})
  const seen: string[] = []
  let cursor: string | null = ''
  for (let id = 106; cursor !== null; id++) {
    const path: string = `/admin/businesses?limit=2${cursor ? `&cursor=${cursor}` : ''}`
    const { json } = await api.send('GET', path)
    expect(json.items.length).toBeLessThanOrEqual(2)
    seen.push(...json.items.map((one: { business_id: string }) => one.business_id))
    cursor = json.next_cursor
    await put(id, {})
  }
  expect(seen.slice(0, 5)).toEqual(['105', '104', '103', '102', '101'])
  expect(new Set(seen).size).toBe(seen.length)
  const { rows } = await database.pool.query(
    'select count(*)::int as n from businesses where business_id not between 106 and 200',
  )
  expect(seen.length).toBe(rows[0].n)
})

test('headers that cannot be decrypted hide only themselves', async () => {
  await put(40, { headers: { a: 'b' }, name: 'still here' })
  await database.pool.query(`update businesses set headers_sealed = '\\x00' where business_id = 40`)
  expect(await get(40)).toMatchObject({ name: 'still here', header_names: null })
  expect((await put(40, { headers: { c: 'd' } })).json.header_names).toEqual(['c'])
})
