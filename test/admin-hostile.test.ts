import { beforeAll, expect, test } from 'vitest'
import { encodeCursor } from '../src/admin/paging.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

const id = '11111111-1111-8111-8111-111111111111'
const long = 'x'.repeat(5_000)

/** In a path or a query, where nothing of it means anything to us. */
const hostile = [
  ...['%00', 'a%00b', '%ed%a0%80', '%ff%fe', '%zz', '%', '%2e%2e%2f', '%0d%0aX-Injected:%20yes'],
  ...['0', '-1', '1.5', '1e9', '0x10', '٣', 'NaN', 'null', 'undefined', '[object Object]', '__proto__', 'constructor'],
  ...[
    '9223372036854775808',
    '99999999999999999999999999',
    "'",
    "1' or '1'='1",
    '1;select pg_sleep(9)',
    '{"a":1}',
    long,
  ],
]

const paths = [
  ['GET', '/admin/businesses/'],
  ['PUT', '/admin/businesses/'],
  ['GET', '/admin/calls/'],
  ['PATCH', '/admin/calls/'],
  ['POST', '/admin/calls/:/reprocess'],
  ['GET', '/admin/deliveries/'],
  ['POST', '/admin/deliveries/:/requeue'],
  ['POST', '/admin/businesses/:/test-events'],
  ['GET', '/admin/requeues/'],
  ['POST', '/admin/requeues/:/stop'],
  ['POST', '/admin/requeues/:/resume'],
  ['POST', '/admin/routes/:/inbound/park'],
  ['POST', '/admin/routes/1/:/unpark'],
] as const

test.each(paths)('%s %s with hostile ids', async (method, path) => {
  for (const value of hostile) {
    const target = path.includes(':') ? path.replace(':', encodeURI(value)) : path + encodeURI(value)
    const raw = target.replaceAll('%25', '%')
    const answer = await api.send(method, raw, method === 'GET' ? undefined : {})
    // A CallSid may be any short word, so PATCH keeps details for those.
    const lowest = method === 'PATCH' ? 200 : 400
    expect([raw, answer.status >= lowest && answer.status < 500]).toEqual([raw, true])
    expect(answer.headers.get('x-injected')).toBeNull()
  }
})

const parameters: Record<string, string[]> = {
  '/admin/businesses': ['limit', 'cursor'],
  '/admin/calls': ['limit', 'cursor', 'business_id', 'state', 'direction', 'since', 'until'],
  '/admin/callbacks': ['limit', 'cursor', 'matched'],
  '/admin/audit': ['limit', 'cursor', 'operator', 'action', 'business_id', 'since', 'until'],
  '/admin/requeues': ['limit', 'cursor', 'state'],
  '/admin/routes': ['limit', 'cursor', 'state', 'business_id', 'direction'],
  '/admin/deliveries': [
    ...['limit', 'cursor', 'status', 'business_id', 'direction', 'event_type', 'call_sid', 'since', 'until'],
  ],
}

/** Times and cursors that have the right form and a wrong meaning. */
const nearlyRight = [
  ...['2025-02-30T00:00:00Z', '2025-13-01T00:00:00Z', '2025-01-01', '2025-01-01T00:00:00', '0000-00-00T00:00:00Z'],
  ...['2025-01-01T24:00:00Z', '2025-01-01T00:00:60Z', '+275760-09-13T00:00:00Z', 'infinity', 'now', 'today'],
  encodeCursor('2025-02-30T00:00:00.000000Z', id),
  encodeCursor('2025-01-01T00:00:00.000000Z', 'x\0y'),
  encodeCursor('infinity', id),
  encodeCursor('2025-01-01T00:00:00Z', id),
  encodeCursor('99999999999999999999'),
  encodeCursor('-1'),
  encodeCursor(''),
]

test.each(Object.entries(parameters))('GET %s with hostile parameters', async (path, names) => {
  for (const name of [...names, 'unknown', '__proto__', 'items[0]']) {
    for (const value of [...hostile.map((text) => encodeURI(text).replaceAll('%25', '%')), ...nearlyRight, '']) {
      const shapes = [`${name}=1&${name}=${value}`, `${name}[]=${value}`, `${name}[a]=${value}`]
      const queries = [`${name}=${value}`, ...(value === '0' ? shapes : [])]
      for (const query of queries) {
        const { status } = await api.send('GET', `${path}?${query}`)
        // A filter on a text takes any that PostgreSQL can hold, and then finds nothing.
        const isText = ['event_type', 'call_sid', 'operator'].includes(name)
        const isFine = status === 400 || (status === 200 && (isText || value === '0' || value.startsWith('%ed')))
        expect([query, status, isFine || status === 431]).toEqual([query, status, true])
      }
    }
  }
})

test('a cursor of routes that names none', async () => {
  for (const key of [
    ['0', 'inbound'],
    ['1', 'sideways'],
    ['1'],
    ['x', 'inbound'],
    ['9223372036854775808', 'inbound'],
  ]) {
    const { status } = await api.send('GET', `/admin/routes?cursor=${encodeCursor(...key)}`)
    expect([key, status]).toEqual([key, 400])
  }
})

test('the edges of what RFC 3339 can say and PostgreSQL can hold', async () => {
  for (const time of ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59.999999999Z']) {
    for (const path of ['/admin/calls', '/admin/deliveries', '/admin/audit']) {
      const { status } = await api.send('GET', `${path}?since=${time}`)
      expect([time, status === 200 || status === 400]).toEqual([time, true])
    }
  }
})

test.each([
  [
    'PUT',
    '/admin/businesses/1',
    ['name', 'phone_numbers', 'headers', 'language', 'max_concurrency', 'rate_per_second'],
  ],
  ['PATCH', '/admin/calls/CA1', ['metadata']],
  ['POST', '/admin/routes/1/inbound/park', ['reason']],
  ['POST', '/admin/businesses/1/test-events', ['direction']],
  ['POST', '/admin/requeues', ['status', 'business_id', 'direction', 'since', 'until', 'event_type', 'call_sid']],
])('%s %s with hostile bodies', async (method, path, fields) => {
  const values = ['"\\u0000"', '"\\ud800"', '1e999', '-0', '[[[[]]]]', '{"a":{"b":{}}}', 'true', `"${long}"`, '[null]']
  const bodies = [
    ...[
      'null',
      '[]',
      '0',
      '"',
      '{',
      '{"a"',
      '\u0000',
      '{"a":1}}',
      `${'['.repeat(120_000)}`,
      `${'{"a":'.repeat(40_000)}`,
    ],
    `${'['.repeat(120_000)}${']'.repeat(120_000)}`,
    `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`,
    `{${Array.from({ length: 20_000 }, (_, n) => `"k${n}":1`).join(',')}}`,
    `{"${long}":1}`,
    ...fields.flatMap((field) => values.map((value) => `{"${field}":${value}}`)),
  ]
  for (const body of bodies) {
    const { status, text } = await api.send(method, path, body)
    const isEmptyObject = body === '{"metadata":{"a":{"b":{}}}}'
    expect([body.slice(0, 60), isEmptyObject ? 200 : 400]).toEqual([body.slice(0, 60), status])
    expect(text.length).toBeLessThan(10_000)
  }
})

test('none of it was an error that we did not expect', () => {
  expect(api.logs.filter((line) => line.includes('admin.failed'))).toEqual([])
})
