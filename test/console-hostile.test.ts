import { beforeAll, expect, test } from 'vitest'
import { putBusiness } from './helpers/businesses.ts'
import { startConsole, type TestConsole, type Visitor } from './helpers/console.ts'
import { hostile as markup } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})

const values = [
  ...['\0', 'a\0b', '\ud800', '%', '../../x', '\r\nX-Injected: yes', '0', '-1', '1.5', '1e9', '٣', 'null', '__proto__'],
  ...['9223372036854775808', "'", "1' or '1'='1", '1;select pg_sleep(9)', '{"a":1}', 'x'.repeat(5_000), markup],
  ...['0000-01-01T00:00', '9999-12-31T23:59:59', '2025-13-45T99:99', '+275760-09-13T00:00:00Z'],
]

const isAnswered = async (answer: Promise<{ status: number; headers: Headers; text: string }>, what: unknown) => {
  const { status, headers, text } = await answer
  expect([what, status >= 200 && status < 500]).toEqual([what, true])
  expect(headers.get('x-injected')).toBeNull()
  expect(text).not.toContain('<script>alert')
}

test.each([
  '/deliveries/:',
  '/deliveries/:/progress',
  '/deliveries/:/payload',
  '/requeues/:',
  '/requeues/:/progress',
  '/businesses/:',
  '/businesses/:/headers',
  '/businesses/:/secret',
  '/businesses/1/test-events/:',
  '/businesses/:/test-events/1',
  '/calls/:',
  '/calls/:/progress',
  '/routes/:/inbound',
  '/routes/1/:',
])('a hostile address: %s', async (path) => {
  for (const value of [
    '%00',
    '%ff%fe',
    '%ed%a0%80',
    '%zz',
    ...values.map((one) => encodeURIComponent(one.toWellFormed())),
  ]) {
    await isAnswered(night.get(`/console${path.replace(':', value)}`), value)
  }
})

test.each([
  [
    '/deliveries',
    ['status', 'business_id', 'direction', 'event_type', 'call_sid', 'since', 'until', 'limit', 'cursor'],
  ],
  ['/deliveries/11111111-1111-8111-8111-111111111111', ['attempts']],
  ['/requeues', ['state', 'limit', 'cursor']],
  ['/requeues/new', ['status', 'business_id', 'direction', 'event_type', 'call_sid', 'since', 'until', 'dry_run']],
  ['/businesses', ['business_id', 'limit', 'cursor']],
  ['/businesses/1', ['test']],
  ['/calls', ['state', 'business_id', 'direction', 'call_sid', 'since', 'until', 'limit', 'cursor']],
  ['/callbacks', ['matched', 'limit', 'cursor']],
])('hostile fields of a list: %s', async (path, names) => {
  for (const name of names) {
    for (const value of values) {
      const query = new URLSearchParams([[name, value]])
      await isAnswered(night.get(`/console${path}?${query}`), [name, value])
      await isAnswered(night.get(`/console${path}?${query}&${query}&${name}[a]=b`), [name, value, 'twice'])
    }
  }
})

const settings = {
  ...{ name: '', phone_numbers: '', inbound_webhook_url: '', outbound_webhook_url: '', generic_webhook_url: '' },
  ...{ language: '', service_categories: '', max_concurrency: '', rate: 'own', rate_per_second: '' },
}

test.each([
  ['/businesses', { ...settings, business_id: '77' }],
  ['/businesses/1', { ...settings, seen: '' }],
  ['/businesses/1/headers', { seen: '', name_0: 'X-Key', value_0: 'x', remove_0: '' }],
  ['/businesses/1/secret', { seen: '', signing_secret: 'x' }],
  ['/businesses/1/test-events', { direction: '' }],
  ['/requeues', { status: '', business_id: '', call_sid: '', since: '' }],
])('hostile fields of an order: %s', async (path, fields) => {
  await putBusiness(database, '1', {}).catch(() => undefined)
  for (const name of Object.keys(fields)) {
    for (const value of values) {
      const { text } = await night.get('/console/businesses/1')
      const seen = /name="seen" value="([^"]+)"/.exec(text)?.[1] ?? ''
      const given = { ...fields, ...('seen' in fields ? { seen } : {}), [name]: value }
      await isAnswered(night.post(`/console${path}`, given), [name, value])
    }
  }
  await isAnswered(night.post(`/console${path}`), 'nothing')
})
