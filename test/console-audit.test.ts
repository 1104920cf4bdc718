import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { startConsole, type TestConsole, type Visitor } from './helpers/console.ts'
import { hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})
beforeEach(async () => {
  await emptyTables(database, 'audit')
})

const act = (columns: Record<string, unknown>) =>
  database.knex('callbox.audit').insert({ operator: 'night', action: 'business.changed', detail: '{}', ...columns })
const operatorsOn = (text: string): string[] =>
  [...text.matchAll(/data-label="Operator"><bdi>([^<]+)/g)].map((match) => match[1] ?? '')

test('tells who did what to what, in words, with a link to it', async () => {
  const [delivery, requeue] = [randomUUID(), randomUUID()]
  const at = '2025-12-10T14:23:45Z'
  await act({ at, action: 'route.parked', business_id: '5', direction: 'outbound', detail: { reason: 'they move' } })
  await act({ action: 'call.changed', call_sid: 'CA/1', detail: { fields: ['lead_id', 'metadata'] } })
  await act({ action: 'delivery.requeued', delivery_id: delivery, requeue_id: requeue })
  await act({ action: 'business.changed', business_id: '6', detail: { rate_per_second: null } })
  const { text } = await night.get('/console/audit')
  for (const told of [
    'parked a route',
    '<a href="/console/businesses/5">business 5</a>, outbound',
    '<time datetime="2025-12-10T14:23:45.000Z">',
    '2025-12-10 14:23:45 UTC',
    '<bdi>they move</bdi>',
    '<a class="mono" href="/console/calls/CA%2F1">CA/1</a>',
    '<bdi>lead_id, metadata</bdi>',
    `href="/console/deliveries/${delivery}"`,
    `href="/console/requeues/${requeue}"`,
    'rate per second:</span> <bdi>none</bdi>',
  ]) {
    expect(text).toContain(told)
  }
})

test('is filtered, and paged by key, newest first', async () => {
  const day = (n: number): string => `2025-12-0${n}T00:00:00Z`
  for (let n = 1; n <= 5; n++) await act({ at: day(n), operator: `shift-${n}`, business_id: n % 2 })
  const on = async (query: string) => operatorsOn((await night.get(`/console/audit?${query}`)).text)
  expect(await on('operator=shift-2')).toEqual(['shift-2'])
  expect(await on('action=route.parked')).toEqual([])
  expect(await on('business_id=1&operator=&action=')).toEqual(['shift-5', 'shift-3', 'shift-1'])
  // As a browser sends what was put into its own field for a time: without seconds when they are 0, and without a zone.
  expect(await on('since=2025-12-02T00:00&until=2025-12-03T00:00:01')).toEqual(['shift-3', 'shift-2'])

  const seen: string[] = []
  let path: string | undefined = '/console/audit?limit=2&since=2025-12-02T00:00'
  while (path !== undefined) {
    const { text }: { text: string } = await night.get(path)
    seen.push(...operatorsOn(text))
    path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
  }
  expect(seen).toEqual(['shift-5', 'shift-4', 'shift-3', 'shift-2'])
  const { status, text } = await night.get('/console/audit?since=yesterday')
  expect(status).toBe(400)
  expect(text).toContain('an RFC 3339 time')
})

test('shows what others wrote as text', async () => {
  await act({ operator: hostile, call_sid: hostile, detail: { reason: hostile, [hostile]: [hostile, { a: hostile }] } })
  const { text } = await night.get('/console/audit')
  expect(text).not.toMatch(/<script>|<img src=x/)
  expect(text.match(/&lt;script&gt;alert\(1\)&lt;\/script&gt;/g)?.length).toBe(6)
})
