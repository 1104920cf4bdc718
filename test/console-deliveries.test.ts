import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { putBusiness } from './helpers/businesses.ts'
import { startConsole, type TestConsole, textOf, type Visitor } from './helpers/console.ts'
import { hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { type DeliveryState, deliveryOf, enqueue, setDeliveries } from './helpers/outbox.ts'
import { changeRoute } from './helpers/routes.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, routes, webhook_outbox, webhook_attempts, audit')
})

const set = (id: string, state: DeliveryState) => setDeliveries(database, 'id = $1', [id], state)
const finished = { finished_at: '2025-12-10T14:23:50Z', due_at: '2025-12-10T14:23:45Z' }

/** Adds an attempt that answered 500 a second after it began, unless told otherwise. */
const attempt = (id: string, number: number, startedAt: string, columns: Record<string, unknown> = {}) =>
  database.knex('callbox.webhook_attempts').insert({
    ...{ business_id: 1, delivery_id: id, id: database.knex.raw('gen_random_uuid()'), number, started_at: startedAt },
    ...{ duration_ms: 1_000, url: 'https://e.example/in', result: 'http_error', status_code: 500 },
    ...columns,
  })

/** CallSids of the deliveries on a page, in its order. */
const callsOn = (text: string): string[] =>
  [...text.matchAll(/data-label="Call"><a [^>]*><bdi>([^<]*)</g)].map((match) => match[1] ?? '')

describe('the list', () => {
  test('tells of each delivery what the API tells', async () => {
    await putBusiness(database, '1', {})
    await database.pool.query('update businesses set name = $1', [hebrew])
    const id = await enqueue(database, '1', 'CA1', 'outbound')
    await set(id, { status: 'failed', reason: `HTTP 500 ${hostile}`, attempt_count: 8, ...finished })
    const { status, text } = await night.get('/console/deliveries')
    expect(status).toBe(200)
    expect(text).toContain(`href="/console/deliveries/${id}"`)
    expect(text).toContain('href="/console/calls/CA1"')
    expect(text).toContain('href="/console/businesses/1"')
    const told = ['failed', 'HTTP 500', 'call.completed', 'outbound', '8', '2025-12-10 14:23:50 UTC', hebrew, hostile]
    for (const one of told) expect(textOf(text)).toContain(one)
    expect(text).not.toContain('<script>alert')
  })

  test('is filtered by all that the API filters by', async () => {
    const ids = new Map<string, string>()
    for (const [call, business, direction] of [
      ['CA1', '1', 'inbound'],
      ['CA2', '1', 'outbound'],
      ['CA3', '2', 'inbound'],
    ] as const) {
      ids.set(call, await enqueue(database, business, call, direction))
    }
    await set(ids.get('CA1') ?? '', { status: 'failed', ...finished })
    await set(ids.get('CA2') ?? '', { created_at: '2025-12-10T14:00:00Z' })
    await database.pool.query(`update webhook_outbox set event_type = 'call.ended' where call_sid = 'CA3'`)
    for (const [query, calls] of [
      ['status=failed', ['CA1']],
      ['business_id=2', ['CA3']],
      ['direction=outbound', ['CA2']],
      ['event_type=call.ended', ['CA3']],
      ['call_sid=CA2', ['CA2']],
      ['call_sid=%20CA2%20', ['CA2']],
      ['since=2025-12-11T00:00', ['CA3', 'CA1']],
      ['until=2025-12-10T14:00:01', ['CA2']],
      ['until=2025-12-10T14:00:00Z', []],
      ['status=&business_id=&direction=inbound&event_type=&call_sid=&since=&until=', ['CA3', 'CA1']],
    ] as const) {
      expect([query, callsOn((await night.get(`/console/deliveries?${query}`)).text)]).toEqual([query, calls])
    }
    expect((await night.get('/console/deliveries?business_id=3')).text).toContain('No delivery matches')
  })

  test('is paged by key, and its links keep the filter', async () => {
    const calls = ['CA5', 'CA4', 'CA3', 'CA2', 'CA1']
    for (const call of calls.toReversed()) await enqueue(database, '1', call)
    await enqueue(database, '1', 'CA9', 'outbound')
    const seen: string[] = []
    let path: string | undefined = '/console/deliveries?limit=2&direction=inbound'
    while (path !== undefined) {
      const { text }: { text: string } = await night.get(path)
      expect(callsOn(text).length).toBeLessThanOrEqual(2)
      seen.push(...callsOn(text))
      path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
    }
    expect(seen).toEqual(calls)
  })

  test('says what is wrong beside the field, and keeps what was entered', async () => {
    const { status, text } = await night.get(
      `/console/deliveries?business_id=${encodeURIComponent(hostile)}&status=delivered`,
    )
    expect(status).toBe(400)
    expect(text).toMatch(/id="business_id-error">got .*expected a whole number from 1/)
    expect(text).toContain('value="&quot;&gt;&lt;script&gt;')
    expect(text).toContain('<option value="delivered" selected>')
    expect(text).not.toContain('<script>alert')
    expect((await night.get('/console/deliveries?cursor=x')).status).toBe(400)
    expect((await night.get('/console/deliveries?status=a&status=b')).status).toBe(400)
  })

  test('finds a delivery by its webhook-id', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const answer = await night.get(`/console/deliveries?call_sid=%20${id.toUpperCase()}`)
    expect([answer.status, answer.headers.get('location')]).toEqual([303, `/console/deliveries/${id}`])
  })

  test('leads to a bulk requeue of what it shows', async () => {
    const { text } = await night.get('/console/deliveries?business_id=1&status=failed&limit=2&since=2025-12-10T14:00')
    expect(text).toContain(
      'href="/console/requeues/new?business_id=1&amp;status=failed&amp;since=2025-12-10T14%3A00%3A00Z"',
    )
  })

  test('leads nowhere by what is no CallSid', async () => {
    await enqueue(database, '1', `../../${hostile}`, 'inbound', '{}')
    const { text } = await night.get('/console/deliveries')
    expect(text).not.toContain('href="/console/calls/')
    expect(textOf(text)).toContain(`../../${hostile}`)
  })
})

describe('one delivery', () => {
  const page = async (id: string, query = '') => {
    const answer = await night.get(`/console/deliveries/${id}${query}`)
    expect(answer.status).toBe(200)
    expect(answer.text).not.toContain('<script>alert')
    return { markup: answer.text, text: textOf(answer.text) }
  }

  test('shows what each attempt sent, what came back, and how long all took', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in', headers: { 'X-Key': 'top-secret-value' } })
    const id = await enqueue(database, '1', 'CA1')
    const said = Buffer.concat([Buffer.from([0, 0xff, 0xfe]), Buffer.from(`<b>${hostile}</b> ${hebrew}\r\n\x1b[31m`)])
    await attempt(id, 1, '2025-12-10T14:23:39Z', { response_excerpt: said, error: hostile })
    await attempt(id, 2, '2025-12-10T14:23:45Z', {
      ...{ result: 'timeout', status_code: null, duration_ms: 15_000, error: 'no complete answer within 15000 ms' },
    })
    await attempt(id, 3, '2025-12-10T14:29:00Z', { status_code: 404, response_excerpt: Buffer.alloc(2_048, 'x') })
    await attempt(id, 4, '2025-12-10T14:59:00.500Z', { result: 'ok', status_code: 204 })
    await set(id, { status: 'delivered', attempt_count: 4, ...finished })
    const { markup, text } = await page(id)
    for (const told of [
      ...['Attempt 1', 'http error', 'after 1 s', '500 Internal Server Error', '5 s until the next'],
      ...[`␀\uFFFD\uFFFD<b>${hostile}</b> ${hebrew}\n␛[31m`, 'POST https://e.example/in'],
      ...[
        'webhook-timestamp: 1765376619',
        `webhook-id: ${id}`,
        'webhook-signature: made anew',
        'X-Key: as the business',
      ],
      ...[
        'Attempt 2',
        'timeout',
        'after 15 s',
        'no answer',
        'no complete answer within 15000 ms',
        '5 min until the next',
      ],
      ...['Attempt 3', '404 Not Found', 'The first 2,048 bytes', 'webhook-timestamp: 1765376940', '29 min 59 s until'],
      ...['Attempt 4', '204 No Content', 'without a body', 'Delivered'],
    ]) {
      expect(text).toContain(told)
    }
    expect(markup).not.toContain('top-secret-value')
    expect(markup).toContain(
      '<pre class="wrap excerpt" dir="auto" tabindex="0" role="group" aria-label="Answer to attempt 3">',
    )
    expect(markup).not.toContain('hx-get')
  })

  test('shows the last attempts of many, and all on demand', async () => {
    const id = await enqueue(database, '1', 'CA1')
    for (let number = 1; number <= 23; number++) await attempt(id, number, `2025-12-10T14:${9 + number}:00Z`)
    const few = await page(id)
    expect(few.text).toContain('Show 3 earlier attempts')
    expect(few.text).not.toContain('Attempt 3✕')
    expect(few.text).toContain('Attempt 23')
    const all = await page(id, '?attempts=all')
    expect(all.text).toContain('Attempt 1✕')
    expect(all.markup).toContain(`hx-get="/console/deliveries/${id}/progress?attempts=all"`)
  })

  test('shows at most a hundred attempts at once, and leads to the others', async () => {
    const id = await enqueue(database, '1', 'CA1')
    for (let number = 1; number <= 230; number++) await attempt(id, number, '2025-12-10T14:09:00Z')
    const numbersOn = ({ text }: { text: string }): number[] =>
      [...text.matchAll(/Attempt (\d+)✕/g)].map(([, number]) => Number(number))
    const few = await page(id)
    expect([numbersOn(few).length, few.text.includes('Show 80 of 210 earlier attempts')]).toEqual([20, true])
    const last = await page(id, '?attempts=all')
    expect([numbersOn(last)[0], numbersOn(last).at(-1), numbersOn(last).length]).toEqual([131, 230, 100])
    expect(last.text).toContain('Show 100 of 130 earlier attempts')
    expect(last.markup).toContain(`href="/console/deliveries/${id}?attempts=130"`)
    const earlier = await page(id, '?attempts=130')
    expect([numbersOn(earlier)[0], numbersOn(earlier).at(-1)]).toEqual([31, 130])
    expect(earlier.markup).toContain(`href="/console/deliveries/${id}?attempts=30"`)
    const first = await page(id, '?attempts=30')
    expect([numbersOn(first)[0], numbersOn(first).at(-1)]).toEqual([1, 30])
    expect(first.text).toContain('Show the latest attempts')
    for (const odd of ['?attempts=-1', '?attempts=x', '?attempts=1&attempts=2', '?attempts=']) {
      expect([odd, numbersOn(await page(id, odd)).length]).toEqual([odd, 20])
    }
  })

  test.each([
    [
      'deep',
      `[${Array(160)
        .fill(`${'['.repeat(3_125)}${']'.repeat(3_125)}`)
        .join()}]`,
    ],
    ['one text', JSON.stringify('"'.repeat(500_000))],
    ['many values', `[${'1,'.repeat(500_000)}1]`],
  ])('shows the start of a payload of 1 MB that is %s, and leads to all of it', async (_, payload) => {
    const id = await enqueue(database, '1', 'CA1', 'inbound', payload)
    const { markup, text } = await page(id)
    expect(markup.length).toBeLessThan(1_000_000)
    expect(text).toMatch(/The first [\d,]+ of 1,00\d,\d+ characters\. Download all/)
    expect(markup).not.toContain('data-copy="#payload"')
    const download = /href="([^"]+)" download="[^"]+">Download all/.exec(markup)?.[1] ?? ''
    expect((await night.get(download)).text).toBe(payload)
  })

  test.each([
    ['an active one', '', 'Due now: attempt 1', 'when it is the turn of'],
    ['a parked one', `state = 'parked', state_reason = '410 Gone', state_since = now()`, 'route is parked', '410 Gone'],
    [
      'a failing one',
      `state = 'failing', state_reason = 'HTTP 500', probe_at = now() + interval '61 seconds'`,
      'its route is failing',
      'Next probe in 1 min',
    ],
  ])('says what a pending one waits for: its route, %s', async (_name, change, title, why) => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in' })
    const id = await enqueue(database, '1', 'CA1')
    if (change !== '') await changeRoute(database, '1', change)
    const { markup, text } = await page(id)
    expect(text).toContain(title)
    expect(text).toContain(why)
    expect(markup).toContain('href="/console/routes/1/inbound"')
    expect(markup).toContain(`hx-get="/console/deliveries/${id}/progress" hx-trigger="every 2s"`)
  })

  test('says what a pending one waits for: its time, or a URL', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in' })
    const id = await enqueue(database, '1', 'CA1')
    await attempt(id, 1, '2025-12-10T14:23:39Z')
    await set(id, { attempt_count: 1, due_at: `now() + interval '2 hours 1 minute'` })
    const waiting = await page(id)
    expect(waiting.text).toMatch(/Next: attempt 2\s+in 2 hr/)
    expect(waiting.markup).toContain('hx-trigger="every 15s"')
    expect(waiting.text).toContain('Try it now')
    const nowhere = await enqueue(database, '1', 'CA2', 'outbound')
    expect((await page(nowhere)).text).toContain('No URL is set for outbound calls')
  })

  test('shows the payload as it is, to read and to copy', async () => {
    const payload = `{"z":12345678901234567890,"a":${JSON.stringify(`${hostile} ${hebrew}`)},"a":1e400}`
    const id = await enqueue(database, '1', 'CA1', 'inbound', payload)
    const { markup, text } = await page(id)
    const shown = /<pre[^>]* id="payload"[^>]*>([\s\S]*?)<\/pre>/.exec(markup)?.[1] ?? ''
    expect(textOf(shown)).toBe(
      `{\n  "z": 12345678901234567890,\n  "a": ${JSON.stringify(`${hostile} ${hebrew}`)},\n  "a": 1e400\n}`,
    )
    expect(text).toContain(`${Buffer.byteLength(payload)} bytes`)
    expect(markup).toContain('data-copy="#payload"')
  })

  test('offers the payload byte for byte', async () => {
    const payload = `{ "b":\t1.50,\r\n"a" : "\\u05d0${hebrew}\u007f\u2028" , "a":null}`
    const id = await enqueue(database, '1', 'CA1', 'inbound', payload)
    const answer = await fetchBytes(`/console/deliveries/${id}/payload`)
    expect(answer.body.equals(Buffer.from(payload))).toBe(true)
    expect(answer.headers.get('content-disposition')).toBe(`attachment; filename=delivery-${id}.json`)
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  test('offers its POST as a command, without what is secret', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in', headers: { 'X-Key': 'top-secret-value' } })
    const id = await enqueue(database, '1', 'CA1', 'inbound', `{"it's":"$(id)"}`)
    const { markup } = await page(id)
    const command = textOf(/<pre[^>]* id="curl"[^>]*>([\s\S]*?)<\/pre>/.exec(markup)?.[1] ?? '')
    expect(command).toContain(`curl --globoff --request POST 'https://e.example/in' \\\n`)
    expect(command).toContain(`--header 'webhook-id: ${id}' \\\n`)
    expect(command).toContain(`--header 'webhook-signature: <webhook-signature>' \\\n  --header 'X-Key: <X-Key>' \\\n`)
    expect(command).toContain(`--data-raw '{"it'\\''s":"$(id)"}'`)
    expect(markup).toContain('data-copy="#curl"')
    expect(markup).not.toContain('top-secret-value')
    const nowhere = await enqueue(database, '2', 'CA1')
    expect((await page(nowhere)).markup).not.toContain('id="curl"')
  })

  test('without its payload offers neither that nor a requeue', async () => {
    const id = await enqueue(database, '1', 'CA1')
    await set(id, { status: 'delivered', emptied: true, ...finished })
    const { markup, text } = await page(id)
    expect(text).toContain('Retention has taken its payload')
    expect(markup).not.toContain('/requeue"')
    expect(markup).not.toContain('id="curl"')
    expect((await night.get(`/console/deliveries/${id}/payload`)).status).toBe(404)
    expect((await night.post(`/console/deliveries/${id}/requeue`)).status).toBe(409)
  })

  test('its changing part comes alone, and no more once it is finished', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in' })
    const id = await enqueue(database, '1', 'CA1')
    const before = await night.get(`/console/deliveries/${id}/progress`)
    expect(before.text).toMatch(/^<div id="progress" class="live" hx-get=/)
    expect(before.text).not.toMatch(/<html|id="payload"/)
    await set(id, { status: 'delivered', ...finished })
    const after = await night.get(`/console/deliveries/${id}/progress`)
    expect(after.text).toMatch(/^<div id="progress" class="live">/)
    expect(textOf(after.text)).toContain('delivered')
    const visitor = site.visitor()
    const away = await visitor.get(`/console/deliveries/${id}/progress`, { 'hx-request': 'true' })
    expect([away.status, away.headers.get('hx-refresh')]).toEqual([401, 'true'])
  })

  test.each(['nothing', '11111111-1111-8111-8111-111111111111'])('that is none: %s', async (id) => {
    const status = id === 'nothing' ? 400 : 404
    for (const path of ['', '/progress', '/payload']) {
      expect((await night.get(`/console/deliveries/${id}${path}`)).status).toBe(status)
    }
    expect((await night.post(`/console/deliveries/${id}/requeue`)).status).toBe(status)
  })

  async function fetchBytes(path: string): Promise<{ headers: Headers; body: Buffer }> {
    const cookie = [...night.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(`${site.url}${path}`, { headers: { cookie } })
    return { headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
  }
})

describe('a requeue', () => {
  test.each([
    ['failed', 'Requeue'],
    ['skipped', 'Requeue'],
    ['delivered', 'Send it again'],
  ] as const)('of a %s one makes it due, is said and is on record', async (status, button) => {
    const id = await enqueue(database, '1', 'CA1')
    await set(id, { status, ...finished })
    expect((await night.get(`/console/deliveries/${id}`)).text).toContain(`<button class="primary">${button}</button>`)
    const answer = await night.post(`/console/deliveries/${id}/requeue`)
    expect(answer.headers.get('location')).toBe(`/console/deliveries/${id}`)
    expect((await night.follow(answer)).text).toContain('The delivery is due now.')
    expect(await deliveryOf(database, id)).toMatchObject({ status: 'pending', step: 0 })
    const { rows } = await database.pool.query('select operator, action, delivery_id from audit')
    expect(rows).toEqual([{ operator: 'night', action: 'delivery.requeued', delivery_id: id }])
    expect((await night.get(`/console/deliveries/${id}`)).text).not.toContain('/requeue"')
  })

  test('on a parked route says what it waits for', async () => {
    const id = await enqueue(database, '1', 'CA1')
    await set(id, { status: 'failed', ...finished })
    await changeRoute(database, '1', `state = 'parked', state_reason = '410 ${hostile.replaceAll("'", "''")}'`)
    const { text } = await night.follow(await night.post(`/console/deliveries/${id}/requeue`))
    expect(textOf(text)).toContain(`waits for its route to be unparked: 410 ${hostile}`)
    expect(text).not.toContain('<script>alert')
  })

  test('is refused without the secret of the session', async () => {
    const id = await enqueue(database, '1', 'CA1')
    await set(id, { status: 'failed', ...finished })
    expect((await night.post(`/console/deliveries/${id}/requeue`, { csrf: 'x' })).status).toBe(403)
    expect((await site.visitor().post(`/console/deliveries/${id}/requeue`)).status).toBe(401)
    expect(await deliveryOf(database, id)).toMatchObject({ status: 'failed', due_in_ms: null })
  })
})
