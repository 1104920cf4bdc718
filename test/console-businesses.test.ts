import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sealedPlace } from '../src/database/sealing.ts'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { putBusiness, sealer } from './helpers/businesses.ts'
import { startConsole, type TestConsole, textOf, type Visitor } from './helpers/console.ts'
import { hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue, setDeliveries } from './helpers/outbox.ts'
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
  await emptyTables(database, 'businesses, phone_numbers, routes, webhook_outbox, webhook_attempts, audit')
})

const path = '/console/businesses'
const row = (id: string) => database.knex('callbox.businesses').where({ business_id: id }).first()
const auditOf = async () => (await database.pool.query('select action, operator, detail from audit order by id')).rows

/** The fields of the settings as a page shows them. */
function settingsOn(markup: string): Record<string, string> {
  const fields: Record<string, string> = {}
  for (const [, name = '', value = ''] of markup.matchAll(/<input name="(\w+)" type="text" value="([^"]*)"/g)) {
    fields[name] = textOf(value)
  }
  for (const [, name = '', text = ''] of markup.matchAll(/<textarea name="(\w+)"[^>]*>\n([^<]*)<\/textarea>/g)) {
    fields[name] = textOf(text)
  }
  fields['language'] = /<option value="(\w\w)" selected>/.exec(markup)?.[1] ?? ''
  fields['rate'] = /name="rate" value="(\w+)" checked/.exec(markup)?.[1] ?? ''
  fields['rate_per_second'] = /name="rate_per_second" value="([^"]*)"/.exec(markup)?.[1] ?? ''
  delete fields['signing_secret']
  return fields
}

const seenOn = (markup: string): string => /name="seen" value="([^"]+)"/.exec(markup)?.[1] ?? ''
const errorOn = (markup: string, field: string): string =>
  textOf(new RegExp(`id="${field}-error">([^<]*)<`).exec(markup)?.[1] ?? '')

/** Opens the page of a business, and sends one of its forms with what it shows, but for `fields`. */
async function send(id: string, form: '' | '/headers' | '/secret', fields: Record<string, string>) {
  const { text } = await night.get(`${path}/${id}`)
  const shown = form === '' ? settingsOn(text) : {}
  return night.post(`${path}/${id}${form}`, { ...shown, seen: seenOn(text), ...fields })
}

const empty = {
  ...{ name: '', phone_numbers: '', inbound_webhook_url: '', outbound_webhook_url: '', generic_webhook_url: '' },
  ...{ language: '', service_categories: '', max_concurrency: '', rate: 'none', rate_per_second: '' },
}

/** Each field of the settings, what is wrong with it, and what is said of it. */
const wrong = [
  ['name', 'x'.repeat(201), 'expected a text of at most 200 characters, or nothing'],
  [
    'phone_numbers',
    '+972501234567\n0501234567',
    'got "0501234567"; expected a list of at most 1000 phone numbers in E.164',
  ],
  ['phone_numbers', '+972501234567\n+972501234567', 'none of them twice, or nothing'],
  ['inbound_webhook_url', `ftp://${hostile}`, 'expected an http or https URL of at most 2048 characters'],
  ['generic_webhook_url', 'https://user:password@e.example/', 'without user name and password, or nothing'],
  ['outbound_webhook_url', 'e.example', 'got "e.example"; expected an http or https URL'],
  ['language', 'xx', 'expected two letters of ISO 639-1'],
  ['service_categories', `${hebrew}\n${'x'.repeat(101)}`, 'expected a list of at most 100 different texts'],
  ['max_concurrency', '0', 'got 0; expected a whole number from 1 to 10000, or nothing'],
  ['max_concurrency', '1e3', 'got "1e3"; expected a whole number'],
  ['rate_per_second', '', 'expected a number from 0.001 to 10000'],
  ['rate_per_second', 'zapier', 'expected a number from 0.001 to 10000'],
  ['rate_per_second', '-1', 'expected a number from 0.001 to 10000'],
] as const

test('a business whose language the transcription service rejected says so', async () => {
  await putBusiness(database, '47', {})
  const shown = async () => (await night.get(`${path}/47`)).text
  expect(await shown()).not.toContain('rejects the language')
  await database.knex('callbox.businesses').update({ language: 'nb', rejected_language: 'nb' })
  expect(await shown()).toContain('The transcription service rejects the language nb.')
})

describe('the list', () => {
  test('tells who is served, and where their events go', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in' })
    await putBusiness(database, '2', { generic: 'https://e.example/all' })
    await database.pool.query('update businesses set name = $1 where business_id = 2', [hostile])
    await database.pool.query(
      `insert into phone_numbers values ('+972501111111', 1), ('+972502222222', 1), ('+972503333333', 1)`,
    )
    const { text } = await night.get(path)
    const told = [
      'https://e.example/in',
      'https://e.example/all',
      'nowhere: skipped',
      hostile,
      '+972501111111',
      'and 1 more',
    ]
    for (const one of told) expect(textOf(text)).toContain(one)
    expect(text).not.toContain('<script>alert')
    const first = await night.get(`${path}?limit=1`)
    const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    expect((await night.get(next)).text).toContain(`class="opens" href="${path}/1"`)
  })

  test('opens one by its number', async () => {
    expect((await night.get(`${path}?business_id=77`)).headers.get('location')).toBe(`${path}/77`)
    const refused = await night.get(`${path}?business_id=0`)
    expect([refused.status, errorOn(refused.text, 'business_id')]).toEqual([400, expect.stringContaining('from 1 to')])
  })
})

describe('a new business', () => {
  test('is made, and its secret is shown once', async () => {
    const fields = {
      ...{ name: hebrew, phone_numbers: '+972 50-123-4567\r\n+972541234567\r\n', language: 'he', max_concurrency: '4' },
      ...{ inbound_webhook_url: ' https://e.example/in ', service_categories: `rent\r\n${hostile}`, rate: 'zapier' },
    }
    const { status, text } = await night.post(path, { ...empty, ...fields, business_id: ' 10 ' })
    expect(status).toBe(201)
    const secret = /id="secret">(whsec_[^<]+)</.exec(text)?.[1] ?? ''
    expect(text).toContain('data-copy="#secret"')
    const stored = await row('10')
    expect(sealer.open(stored.signing_secret_sealed, sealedPlace.signingSecret('10'))).toBe(secret)
    expect(stored).toMatchObject({
      ...{ name: hebrew, language: 'he', max_concurrency: 4, rate_per_second: '30' },
      ...{ inbound_webhook_url: 'https://e.example/in', service_categories: ['rent', hostile] },
    })
    const { rows } = await database.pool.query('select phone_number from phone_numbers order by 1')
    expect(rows.map((one) => one.phone_number)).toEqual(['+972501234567', '+972541234567'])
    expect((await night.get(`${path}/10`)).text).not.toContain(secret)
    expect(site.logs.join('')).not.toContain(secret)
    expect(await auditOf()).toMatchObject([{ action: 'business.created', operator: 'night' }])
  })

  test.each(wrong)('with a wrong %s is not made; it is said beside the field: %j', async (field, value, said) => {
    const fields = {
      ...empty,
      rate: field === 'rate_per_second' ? 'own' : 'none',
      [field]: value,
      name: field === 'name' ? value : hostile,
    }
    const { status, text } = await night.post(path, { ...fields, business_id: '10' })
    expect(status).toBe(400)
    expect(errorOn(text, field)).toContain(said)
    expect(text).toMatch(new RegExp(`name="${field}"[^>]*aria-describedby="[^"]*${field}-error`))
    expect(text).toContain('name="business_id" type="text" value="10"')
    if (field !== 'language') expect(settingsOn(text)).toMatchObject({ ...fields, [field]: value })
    expect(text).not.toContain('<script>alert')
    expect(await row('10')).toBeUndefined()
  })

  test('says all that is wrong at once, the number too', async () => {
    const { text } = await night.post(path, { ...empty, business_id: '-1', language: 'xx', max_concurrency: '0' })
    for (const field of ['business_id', 'language', 'max_concurrency']) expect(errorOn(text, field)).not.toBe('')
  })

  test('with a number that is taken changes nothing', async () => {
    await putBusiness(database, '10', { inbound: 'https://e.example/in' })
    const { status, text } = await night.post(path, { ...empty, business_id: '10', name: 'another' })
    expect([status, errorOn(text, 'business_id')]).toEqual([409, 'is taken: business 10 is there already'])
    expect((await row('10')).name).toBe('')
  })

  test("with a phone number of another's is not made", async () => {
    await putBusiness(database, '1', {})
    await database.pool.query(`insert into phone_numbers values ('+972501234567', 1)`)
    const numbers = '+972541234567\n+972 50 123 4567'
    const { status, text } = await night.post(path, { ...empty, business_id: '10', phone_numbers: numbers })
    expect(status).toBe(409)
    expect(errorOn(text, 'phone_numbers')).toContain('+972501234567 belongs to another business')
    expect(settingsOn(text)['phone_numbers']).toBe(numbers)
    expect(await row('10')).toBeUndefined()
  })

  test('is refused without the secret of the session', async () => {
    expect((await night.post(path, { ...empty, business_id: '10', csrf: 'x' })).status).toBe(403)
    expect(await row('10')).toBeUndefined()
  })
})

describe('the settings', () => {
  test('are shown as they are, with where each direction goes and by what', async () => {
    await putBusiness(database, '10', {
      generic: 'https://e.example/all',
      maxConcurrency: 4,
      headers: { 'X-Key': 'top-secret' },
    })
    await database.pool.query('update businesses set name = $1, rate_per_second = 0.5, service_categories = $2', [
      hostile,
      ['rent', hebrew],
    ])
    await changeRoute(database, '10', `state = 'failing'`)
    const { status, text } = await night.get(`${path}/10`)
    expect(status).toBe(200)
    expect(text).not.toContain('<script>alert')
    expect(text).not.toContain('top-secret')
    expect(settingsOn(text)).toEqual({
      ...empty,
      ...{ name: hostile, generic_webhook_url: 'https://e.example/all', max_concurrency: '4' },
      ...{ service_categories: `rent\n${hebrew}`, rate: 'own', rate_per_second: '0.5' },
    })
    expect(textOf(text)).toMatch(/inbound\s+https:\/\/e.example\/allthe generic URL\s+!failing/)
    expect(textOf(text)).toMatch(/outbound\s+nowhere: their deliveries are skipped/)
    expect(textOf(text)).toContain('X-Key')
  })

  test('are saved, and only what differs is on record', async () => {
    await putBusiness(database, '10', { inbound: 'https://e.example/in' })
    const changed = { name: hebrew, outbound_webhook_url: 'https://e.example/out', rate: 'own', rate_per_second: '2.5' }
    const answer = await send('10', '', changed)
    expect(answer.headers.get('location')).toBe(`${path}/10`)
    const { text } = await night.follow(answer)
    expect(text).toContain('The settings are saved.')
    expect(settingsOn(text)).toMatchObject({ ...changed, inbound_webhook_url: 'https://e.example/in' })
    const [entry] = await auditOf()
    expect([...entry.detail.fields].sort()).toEqual(['name', 'outbound_webhook_url', 'rate_per_second'])
    const cleared = await night.follow(await send('10', '', { ...empty }))
    expect(settingsOn(cleared.text)).toEqual(empty)
  })

  test.each(wrong)('with a wrong %s are not saved; it is said beside the field: %j', async (field, value, said) => {
    await putBusiness(database, '10', { inbound: 'https://e.example/in' })
    const own = field === 'rate_per_second' ? { rate: 'own' } : {}
    const { status, text } = await send('10', '', { name: 'kept', ...own, [field]: value })
    expect(status).toBe(400)
    expect(errorOn(text, field)).toContain(said)
    if (field !== 'name') expect(settingsOn(text)['name']).toBe('kept')
    expect((await row('10')).name).toBe('')
  })

  test('tell how many skipped deliveries a new URL would take', async () => {
    await putBusiness(database, '10', {})
    for (const sid of ['CA1', 'CA2']) await enqueue(database, '10', sid)
    await setDeliveries(database, 'true', [], { status: 'skipped' })
    const { text } = await night.follow(await send('10', '', { inbound_webhook_url: 'https://e.example/in' }))
    expect(text).toContain('2 skipped deliveries would fit the new URL')
    expect(text).toContain('href="/console/requeues/new?business_id=10&amp;direction=inbound&amp;status=skipped"')
  })

  test("do not undo somebody else's change that came between", async () => {
    await putBusiness(database, '10', {})
    const { text: old } = await night.get(`${path}/10`)
    await send('10', '', { name: 'of another' })
    const late = await night.post(`${path}/10`, { ...settingsOn(old), seen: seenOn(old), name: 'mine' })
    expect(late.status).toBe(409)
    expect(late.text).toContain('has been changed since this page was opened')
    expect(settingsOn(late.text)['name']).toBe('mine')
    expect((await row('10')).name).toBe('of another')
    const again = await night.post(`${path}/10`, { ...settingsOn(late.text), seen: seenOn(late.text) })
    expect(again.status).toBe(303)
    expect((await row('10')).name).toBe('mine')
  })

  test.each(['', '/headers', '/secret', '/test-events'])(
    'take no order without the secret of the session: %s',
    async (form) => {
      await putBusiness(database, '10', { inbound: 'https://e.example/in' })
      const { text } = await night.get(`${path}/10`)
      const fields = { ...settingsOn(text), seen: seenOn(text), direction: 'inbound', name: 'x', csrf: '' }
      expect((await night.post(`${path}/10${form}`, fields)).status).toBe(403)
      expect(await auditOf()).toEqual([])
    },
  )

  test.each([
    ['x', 400],
    ['404', 404],
  ])('of a business that is none: %s', async (id, status) => {
    expect((await night.get(`${path}/${id}`)).status).toBe(status)
    for (const form of ['', '/headers', '/secret'])
      expect((await night.post(`${path}/${id}${form}`, empty)).status).toBe(status)
    expect((await night.post(`${path}/${id}/test-events`, { direction: 'inbound' })).status).toBe(status)
  })
})

describe('custom headers', () => {
  const stored = async (id: string): Promise<unknown> => {
    const { headers_sealed: sealed } = await row(id)
    return sealed === null ? null : JSON.parse(sealer.open(sealed, sealedPlace.headers(id)))
  }

  test('are added, replaced, kept and removed, and shown by their names alone', async () => {
    await putBusiness(database, '10', {
      headers: { 'X-Kept': 'kept-value', 'X-Old': 'old-value', 'X-Gone': 'gone-value' },
    })
    const fields = {
      ...{ name_0: 'X-Kept', value_0: '', name_1: 'X-Old', value_1: 'new-value', name_2: 'X-Gone', remove_2: 'yes' },
      ...{ name_3: 'X-New', value_3: ` a"b'c `, name_4: '', value_4: '' },
    }
    const { text } = await night.follow(await send('10', '/headers', fields))
    expect(await stored('10')).toEqual({ 'X-Kept': 'kept-value', 'X-Old': 'new-value', 'X-New': `a"b'c` })
    for (const name of ['X-Kept', 'X-Old', 'X-New']) expect(text).toContain(`<bdi class="mono">${name}</bdi>`)
    expect(text).not.toMatch(/kept-value|new-value|X-Gone/)
    expect(site.logs.join('')).not.toMatch(/kept-value|new-value|old-value/)

    await send('10', '/headers', { name_0: 'x-OLD', value_0: 'newest' })
    expect(await stored('10')).toEqual({ 'X-Kept': 'kept-value', 'x-OLD': 'newest', 'X-New': `a"b'c` })
    const removed = {
      name_0: 'X-Kept',
      remove_0: 'yes',
      name_1: 'x-old',
      remove_1: 'yes',
      name_2: 'X-New',
      remove_2: 'yes',
    }
    await send('10', '/headers', removed)
    expect(await stored('10')).toBeNull()
  })

  test.each([
    [{ name_0: 'a b', value_0: 'top-secret' }, 'a b cannot be sent so.'],
    [{ name_0: 'X-Key', value_0: 'top-secret\nX-Other: yes' }, 'X-Key cannot be sent so.'],
    [{ name_0: 'webhook-id', value_0: 'top-secret' }, 'none that Callbox sets itself'],
    [{ name_0: 'X-Key', value_0: `top-secret${'x'.repeat(4_096)}` }, 'values in visible ASCII'],
    [{ name_0: hostile, value_0: 'top-secret' }, 'cannot be sent so.'],
  ])('that cannot be sent are refused, without a word of their values: %#', async (fields, said) => {
    await putBusiness(database, '10', { headers: { 'X-Kept': 'kept-value' } })
    const { status, text } = await send('10', '/headers', fields)
    expect(status).toBe(400)
    expect(textOf(text)).toContain(said)
    expect(text).not.toMatch(/top-secret|kept-value|<script>alert/)
    expect(textOf(text.replaceAll('value="', '>'))).toContain(fields.name_0)
    expect(await stored('10')).toEqual({ 'X-Kept': 'kept-value' })
    expect(site.logs.join('')).not.toContain('top-secret')
  })

  test('that cannot be decrypted are shown as such, and can be set again', async () => {
    await putBusiness(database, '10', { headers: { 'X-Old': 'old' } })
    await database.pool.query(`update businesses set headers_sealed = 'damaged'`)
    expect((await night.get(`${path}/10`)).text).toContain('cannot be decrypted')
    await send('10', '/headers', { name_0: 'X-New', value_0: 'new' })
    expect(await stored('10')).toEqual({ 'X-New': 'new' })
  })
})

describe('the signing secret', () => {
  const secretOf = async (id: string): Promise<string> =>
    sealer.open((await row(id)).signing_secret_sealed, sealedPlace.signingSecret(id))

  test('is rotated, shown once, and says until when the former one signs', async () => {
    const former = await putBusiness(database, '10', {})
    const { status, headers, text } = await send('10', '/secret', {})
    expect(status).toBe(200)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.getSetCookie()).toEqual([])
    const secret = /id="secret">(whsec_[^<]+)</.exec(text)?.[1] ?? ''
    expect(secret).toBe(await secretOf('10'))
    expect(secret).not.toBe(former)
    expect(textOf(text)).toMatch(
      /The former one signs too, until in (23|24) hr|The former one signs too, until in 1 day/,
    )
    const page = await night.get(`${path}/10`)
    expect(textOf(page.text)).toContain('The former secret signs too')
    expect(textOf(page.text)).toContain('The older one ends at once')
    expect(page.text).not.toContain(secret)
    expect(site.logs.join('')).not.toMatch(/whsec_/)
    expect(await auditOf()).toMatchObject([{ detail: { fields: ['signing_secret'] } }])
  })

  test('is rotated once, however often the form is sent', async () => {
    await putBusiness(database, '10', {})
    const { text } = await night.get(`${path}/10`)
    const first = await night.post(`${path}/10/secret`, { seen: seenOn(text) })
    const secret = await secretOf('10')
    const second = await night.post(`${path}/10/secret`, { seen: seenOn(text) })
    expect([first.status, second.status]).toEqual([200, 409])
    expect(await secretOf('10')).toBe(secret)
    expect(second.text).not.toContain(secret)
  })

  test('is rotated once when the form is sent twice at the same time', async () => {
    const former = await putBusiness(database, '10', {})
    const { text } = await night.get(`${path}/10`)
    const sent = await Promise.all([1, 2, 3].map(() => night.post(`${path}/10/secret`, { seen: seenOn(text) })))
    expect(sent.map(({ status }) => status).toSorted()).toEqual([200, 409, 409])
    expect(sent.find(({ status }) => status === 200)?.text).toContain(await secretOf('10'))
    const { previous_signing_secret_sealed: previous } = await row('10')
    expect(sealer.open(previous, sealedPlace.previousSigningSecret('10'))).toBe(former)
  })

  test('can be one of your own, which is not shown', async () => {
    await putBusiness(database, '10', {})
    const own = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
    const { text } = await night.follow(await send('10', '/secret', { signing_secret: ` ${own} ` }))
    expect(text).toContain('Your secret signs from now on.')
    expect(text).not.toContain(own)
    expect(await secretOf('10')).toBe(own)
  })

  test('of your own that is none is refused, and not told again', async () => {
    const former = await putBusiness(database, '10', {})
    const { status, text } = await send('10', '/secret', { signing_secret: 'whsec_too-short-and-still-secret' })
    expect(status).toBe(400)
    expect(errorOn(text, 'signing_secret')).toContain('expected whsec_ and 24 to 64 bytes in padded base64')
    expect(text).not.toContain('too-short')
    expect(text).toContain('<details open>')
    expect(await secretOf('10')).toBe(former)
    expect(site.logs.join('')).not.toContain('too-short')
  })

  test.each(['headers', 'secret'])('a reload where the form of the %s was answered opens the page', async (form) => {
    expect((await night.get(`${path}/10/${form}`)).headers.get('location')).toBe(`${path}/10`)
  })
})

describe('a test event', () => {
  let receiver: Receiver
  beforeAll(async () => {
    receiver = await startReceiver()
  })
  afterAll(() => receiver.close())

  const sent = async (id: string, direction: string) => {
    const answer = await night.post(`${path}/${id}/test-events`, { direction })
    return { answer, delivery: /test=([0-9a-f-]+)$/.exec(answer.headers.get('location') ?? '')?.[1] ?? '' }
  }

  test('shows its answer on the page of its business', async () => {
    const secret = await putBusiness(database, '10', { inbound: `${receiver.url}/ten` })
    receiver.endpoint('/ten', secret)
    receiver.answers.queue('/ten', { status: 404, body: `${hostile} is not registered` })
    expect((await night.get(`${path}/10`)).text).toContain(`action="${path}/10/test-events"`)
    const { answer, delivery } = await sent('10', 'inbound')
    const page = await night.follow(answer)
    expect(page.text).toContain(`hx-get="${path}/10/test-events/${delivery}" hx-trigger="every 1s"`)
    expect(textOf(page.text)).toContain('Due now: attempt 1')

    const dispatcher = runDispatcher(database.url)
    const panel = await eventually('the panel shows an answer', async () => {
      const { text } = await night.get(`${path}/10/test-events/${delivery}`)
      return text.includes('Attempt 1') && text
    })
    await dispatcher.stop()
    for (const told of ['404 Not Found', 'http error', `${hostile} is not registered`])
      expect(textOf(panel)).toContain(told)
    expect(panel).not.toMatch(/hx-get|<script>alert|<html/)
    expect(await auditOf()).toMatchObject([{ action: 'test_event.sent', operator: 'night' }])
  })

  test('that waits for its route to be unparked says so', async () => {
    await putBusiness(database, '10', { inbound: 'https://e.example/in' })
    await changeRoute(database, '10', `state = 'parked', state_reason = 'nobody is there'`)
    const { text } = await night.follow((await sent('10', 'inbound')).answer)
    expect(textOf(text)).toMatch(/Waits: its route is parked[\s\S]*nobody is there/)
  })

  test('has no button where it would go nowhere', async () => {
    await putBusiness(database, '10', { inbound: 'https://e.example/in' })
    const { text } = await night.get(`${path}/10`)
    expect(text).toContain('name="direction" value="inbound"')
    expect(text).not.toContain('name="direction" value="outbound"')
  })

  test('is refused for what is no direction', async () => {
    await putBusiness(database, '10', {})
    expect((await sent('10', hostile)).answer.status).toBe(400)
    expect((await sent('10', '')).answer.status).toBe(400)
  })

  test('is shown of this business alone, and no other delivery in its place', async () => {
    await putBusiness(database, '10', { inbound: 'https://e.example/in' })
    await putBusiness(database, '20', { inbound: 'https://e.example/in' })
    const { delivery } = await sent('10', 'inbound')
    const real = await enqueue(database, '10', 'CA1')
    expect((await night.get(`${path}/20/test-events/${delivery}`)).status).toBe(404)
    expect((await night.get(`${path}/20?test=${delivery}`)).status).toBe(404)
    expect((await night.get(`${path}/10/test-events/${real}`)).status).toBe(404)
    expect((await night.get(`${path}/10?test=${encodeURIComponent(hostile)}`)).status).toBe(200)
  })
})
