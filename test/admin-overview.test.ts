import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { OverviewReader } from '../src/admin/overview-reader.ts'
import { overview } from '../src/admin/schemas/overview.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue, setDeliveries } from './helpers/outbox.ts'
import { changeRoute } from './helpers/routes.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, routes, webhook_outbox, dispatchers, calls, call_steps, twilio_callbacks')
  await database.pool.query('update slots set owner = null')
})

const read = async () => {
  const answer = await api.send('GET', '/admin/overview')
  expect(answer.status).toBe(200)
  return overview.parse(answer.json)
}
const sql = (text: string, values: unknown[] = []) => database.pool.query(text, values)
const codes = (found: { findings: { code: string }[] }) => found.findings.map(({ code }) => code)

test('of an installation in which nothing has happened yet', async () => {
  expect(await read()).toMatchObject({
    verdict: 'trouble',
    findings: [{ code: 'no_dispatcher', severity: 'trouble' }],
    deliveries: {
      ...{ due: 0, oldest_due_seconds: 0, delivered_last_hour: 0, failed_last_hour: 0, last_hour_is_whole: true },
    },
    routes: { active: 0, failing: 0, parked: 0, in_trouble: [] },
    dispatchers: [],
    slots_unowned: 64,
    callbacks_unmatched: 0,
    requeues_running: 0,
  })
  expect((await api.send('POST', '/admin/overview', {})).headers.get('allow')).toBe('GET')
})

test('deliveries: what is due, and what ended within the hour', async () => {
  await putBusiness(database, '1', { inbound: 'https://e.example/' })
  const ended = async (status: 'delivered' | 'failed' | 'skipped', ago: string) => {
    const id = await enqueue(database, '1', `CA${status}${ago}`)
    const at = `now() - interval '${ago}'`
    await setDeliveries(database, 'id = $1', [id], { status, created_at: at, finished_at: at })
  }
  await ended('delivered', '1 minute')
  await ended('delivered', '59 minutes')
  await ended('delivered', '61 minutes')
  await ended('failed', '2 minutes')
  await ended('failed', '2 days')
  await ended('skipped', '2 minutes')
  const due = await enqueue(database, '1', 'CAdue')
  await sql(`update webhook_due set due_at = now() - interval '90 seconds' where id = $1`, [due])
  const { deliveries, findings, verdict } = await read()
  expect(deliveries).toMatchObject({ due: 1, delivered_last_hour: 2, failed_last_hour: 1, last_hour_is_whole: true })
  expect(deliveries.oldest_due_seconds).toBeGreaterThanOrEqual(90)
  expect(codes({ findings })).toContain('deliveries_failed')
  expect(verdict).toBe('trouble')
})

test('routes in trouble, the latest first, with why', async () => {
  for (const business of ['1', '2', '3']) await putBusiness(database, business, { inbound: 'https://e.example/' })
  await changeRoute(database, '1', `state = 'parked', state_reason = 'gone', state_since = now() - interval '1 day'`)
  await changeRoute(database, '3', `state = 'failing', state_reason = 'HTTP 500', state_since = now()`)
  const found = await read()
  expect(found.routes).toMatchObject({ active: 4, failing: 1, parked: 1 })
  expect(found.routes.in_trouble).toMatchObject([
    { business_id: '3', direction: 'inbound', state: 'failing', reason: 'HTTP 500', url: 'https://e.example/' },
    { business_id: '1', direction: 'inbound', state: 'parked', reason: 'gone' },
  ])
})

test('dispatchers with their slots; one whose beat stands still is not alive, and its slots belong to nobody', async () => {
  const [alive, dead] = [randomUUID(), randomUUID()]
  await sql(`insert into dispatchers (id, host, leaving, started_at) values ($1, 'a', true, '2025-12-10T14:23:45Z')`, [
    alive,
  ])
  await sql(`insert into dispatchers (id, host) values ($1, 'b')`, [dead])
  await sql('update slots set owner = case when slot < 40 then $1::uuid when slot < 60 then $2::uuid end', [
    alive,
    dead,
  ])
  const found = await eventually('the dead one is seen to be dead', async () => {
    await sql('update dispatchers set beat = beat + 1 where id = $1', [alive])
    const now = await read()
    return now.dispatchers.some((one) => !one.alive) && now
  })
  expect(found.dispatchers).toEqual([
    { id: alive, host: 'a', slots: 40, alive: true, leaving: true, started_at: '2025-12-10T14:23:45.000Z' },
    { id: dead, host: 'b', slots: 20, alive: false, leaving: false, started_at: expect.any(String) },
  ])
  expect(found.slots_unowned).toBe(24)
  expect(codes(found)).toEqual(['slots_unowned'])
})

test('the pipeline: calls at each step, those tried again, and those that failed within a day', async () => {
  const call = async (sid: string, state: string, failedAgo?: string) => {
    const failedAt = failedAgo ? `now() - interval '${failedAgo}'` : 'null'
    await sql(`insert into calls (business_id, call_sid, state, failed_at) values (1, $1, $2, ${failedAt})`, [
      sid,
      state,
    ])
  }
  const step = (sid: string, name: string, isFinished: boolean, error: string | null = null) =>
    sql(
      `insert into call_steps (business_id, call_sid, step, finished_at, error)
       values (1, $1, $2, ${isFinished ? 'now()' : 'null'}, $3)`,
      [sid, name, error],
    )
  await call('CA1', 'processing')
  await step('CA1', 'audio', true)
  await step('CA1', 'transcript', false)
  await call('CA2', 'processing')
  await step('CA2', 'transcript', false, 'HTTP 503')
  await call('CA3', 'failed', '1 hour')
  await step('CA3', 'summary', false, 'no answer')
  await call('CA4', 'failed', '2 days')
  await step('CA4', 'summary', false, 'an old one')
  await call('CA5', 'completed')
  await step('CA5', 'completion', true)
  await sql(
    `insert into twilio_callbacks (kind, call_sid, query, body, state) values ('call_status', 'CA9', '', '', 'unmatched')`,
  )
  const found = await read()
  const none = { running: 0, retried: 0, failed: 0, last_error: null }
  expect(found.pipeline.steps).toEqual([
    { step: 'audio', ...none },
    { step: 'transcript', ...none, running: 2, retried: 1, last_error: 'HTTP 503' },
    { step: 'summary', ...none, failed: 1, last_error: 'no answer' },
    { step: 'extraction', ...none },
    { step: 'completion', ...none },
  ])
  expect(found.pipeline.calls).toEqual({ open: 0, queued: 0, processing: 2, failed: 2 })
  expect(found.callbacks_unmatched).toBe(1)
  expect(codes(found)).toEqual(['no_dispatcher', 'calls_retried', 'calls_failed', 'callbacks_unmatched'])
})

test('those who ask while a reading is under way get that one', async () => {
  const reader = new OverviewReader(database.knex)
  const first = reader.read()
  expect(reader.read()).toBe(first)
  await first
  const second = reader.read()
  expect(second).not.toBe(first)
  await second
})
