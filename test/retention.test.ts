import { pino } from 'pino'
import { beforeEach, expect, test } from 'vitest'
import { retain, startRetention } from '../src/admin/retention.ts'
import { requeueDelivery } from '../src/outbox/requeue.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { type DeliveryState, setDeliveries } from './helpers/outbox.ts'

const log = pino({ level: 'silent' })
const database: TestDatabase = await createTestDatabase()
const parts = { config: { retentionDays: 30 }, knex: database.knex, log }
const run = () => retain(parts, new AbortController().signal)

const query = async (sql: string, values: unknown[] = []) => (await database.pool.query(sql, values)).rows

beforeEach(async () => {
  await emptyTables(
    database,
    'webhook_outbox, webhook_attempts, routes, calls, call_recordings, call_steps, call_details, twilio_callbacks, businesses',
  )
})

const enqueue = async (call: string, business = 1): Promise<string> => {
  const sql = `select callbox_enqueue($1, $2, 'call.completed', 'inbound', '{"a":1}') as id`
  const [row] = await query(sql, [business, call])
  return row.id
}
const finish = (id: string, status: DeliveryState['status'] & string, daysAgo: number) =>
  setDeliveries(database, 'id = $1', [id], {
    status,
    created_at: `now() - interval '99 days'`,
    finished_at: `now() - interval '${daysAgo} days'`,
  })
const attempt = (id: string, number: number) =>
  query(
    `insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result)
     values (1, $1, gen_random_uuid(), $2, now() - interval '99 days', 1, 'http://x/', 'ok')`,
    [id, number],
  )

test('takes payload and attempts of what ended long ago, counted from its end, and leaves the key', async () => {
  const old: string[] = []
  for (const status of ['delivered', 'failed', 'skipped'] as const) {
    const id = await enqueue(`CA${status}`)
    old.push(id)
    await finish(id, status, 31)
    for (const number of [1, 2]) await attempt(id, number)
  }
  const recent = await enqueue('CArecent')
  await finish(recent, 'delivered', 29)
  await attempt(recent, 1)

  expect(await run()).toMatchObject({ deliveries: 3 })
  const left = await query('select id, payload::text from webhook_outbox where payload is not null')
  expect(left).toEqual([{ id: recent, payload: '{"a":1}' }])
  expect(await query('select distinct delivery_id from webhook_attempts')).toEqual([{ delivery_id: recent }])

  // The same event once more, whatever retention took of it.
  expect(await enqueue('CAdelivered')).toBe(old[0])
  const kept = await query('select status, count(*)::int as n from webhook_deliveries group by 1 order by 1')
  expect(kept).toEqual([
    { status: 'delivered', n: 2 },
    { status: 'failed', n: 1 },
    { status: 'skipped', n: 1 },
  ])
  expect(await run()).toMatchObject({ deliveries: 0 })
})

test('never touches what is pending, however old', async () => {
  const id = await enqueue('CApending')
  const longAgo = `now() - interval '400 days'`
  await setDeliveries(database, 'id = $1', [id], { created_at: longAgo, due_at: longAgo })
  await attempt(id, 1)
  const rows = () =>
    query('select v.*, o.payload::text from webhook_deliveries v join webhook_outbox o using (business_id, id)')
  const before = await rows()
  await run()
  expect(await rows()).toEqual(before)
  expect(await query('select 1 from webhook_attempts')).toHaveLength(1)
})

test('one requeued in the meantime is left alone', async () => {
  const id = await enqueue('CAtie')
  await finish(id, 'failed', 31)
  const operator = await database.knex.transaction()
  expect(await requeueDelivery(operator, '1', id)).toMatchObject({ changed: true })
  expect(await run()).toMatchObject({ deliveries: 0 })
  await operator.commit()
  expect(await run()).toMatchObject({ deliveries: 0 })
  expect(await query('select status, is_emptied from webhook_deliveries')).toEqual([
    { status: 'pending', is_emptied: false },
  ])
})

test('takes as many batches as there are', async () => {
  await query(
    `select callbox_enqueue(1 + n % 3, 'CA' || n, 'call.completed', 'inbound', '{}') from generate_series(1, 1200) n`,
  )
  const longAgo = `now() - interval '31 days'`
  await setDeliveries(database, 'true', [], { status: 'delivered', created_at: longAgo, finished_at: longAgo })
  expect(await run()).toMatchObject({ deliveries: 1200 })
  expect(await query('select count(*)::int as n from webhook_deliveries where is_emptied')).toEqual([{ n: 1200 }])
})

test('takes what was said in calls and what their steps left, and leaves the calls', async () => {
  const call = async (callSid: string, state: string, ended: string) => {
    await query(
      `insert into calls (business_id, call_sid, state, transcript, summary, city, created_at, completed_at, failed_at)
       values (1, $1, $2, 'said', 'short', 'X', now() - interval '99 days',
         case when $2 = 'completed' then now() - $3::interval end, case when $2 = 'failed' then now() - $3::interval end)`,
      [callSid, state, ended],
    )
    await query(
      `insert into call_steps (business_id, call_sid, step, finished_at, result)
       values (1, $1, 'transcript', now() - interval '98 days', '{"text":"said"}')`,
      [callSid],
    )
    await query(
      `insert into call_recordings (business_id, call_sid, recording_sid, state, transcript, transcribed_at)
       values (1, $1, 'RE1', 'transcribed', 'said', now() - interval '98 days')`,
      [callSid],
    )
  }
  await call('CAold', 'completed', '31 days')
  await call('CAnew', 'completed', '29 days')
  await call('CAoldfailed', 'failed', '31 days')
  await call('CAnewfailed', 'failed', '29 days')
  await call('CAbusy', 'processing', '31 days')
  await query(`update calls set failed_at = now() - interval '31 days' where call_sid = 'CAbusy'`)
  await query(`update calls set transcript = null, summary = null, city = null where state <> 'completed'`)
  expect(await run()).toMatchObject({ transcripts: 1, step_results: 2, recording_texts: 2 })
  expect(await query('select call_sid from call_recordings where transcript is null order by 1')).toEqual([
    { call_sid: 'CAold' },
    { call_sid: 'CAoldfailed' },
  ])
  expect(
    await query('select call_sid, transcript, summary from calls where state = $1 order by 1', ['completed']),
  ).toEqual([
    { call_sid: 'CAnew', transcript: 'said', summary: 'short' },
    { call_sid: 'CAold', transcript: null, summary: null },
  ])
  // A failed call may be reprocessed: what its steps left is gone, so they are to run again.
  expect(
    await query('select call_sid, finished_at is null as again from call_steps where result is null order by 1'),
  ).toEqual([
    { call_sid: 'CAold', again: false },
    { call_sid: 'CAoldfailed', again: true },
  ])
  expect(await query('select 1 from calls')).toHaveLength(5)
})

test('takes old callbacks that were matched, unless their call is in work', async () => {
  const callback = (callSid: string, state: string, daysAgo: number) =>
    query(
      `insert into twilio_callbacks (kind, call_sid, query, body, state, business_id, received_at)
       values ('call_status', $1, '', '', $2, case when $2 = 'matched' then 1 end, now() - make_interval(days => $3))`,
      [callSid, state, daysAgo],
    )
  await callback('CAold', 'matched', 31)
  await callback('CAnew', 'matched', 29)
  await callback('CAbusy', 'matched', 31)
  await callback('CAunmatched', 'unmatched', 400)
  await callback('CAwaiting', 'new', 400)
  await query(`insert into calls (business_id, call_sid, state) values (1, 'CAbusy', 'queued'), (1, 'CAold', 'open')`)
  expect(await run()).toMatchObject({ callbacks: 1 })
  const left = await query('select call_sid from twilio_callbacks order by 1')
  expect(left.map((row) => row.call_sid)).toEqual(['CAbusy', 'CAnew', 'CAunmatched', 'CAwaiting'])
})

test('takes what old legs said, unless their call is in work', async () => {
  await query(
    `insert into callbox.call_legs (call_sid, parent_call_sid, from_address, created_at)
     values ('CAold', null, '+972501234567', now() - interval '31 days'), ('CAnew', null, '', now() - interval '29 days'),
            ('CAbusy', null, '', now() - interval '31 days'), ('CAbusyleg', 'CAbusy', '', now() - interval '31 days')`,
  )
  await query(
    `insert into callbox.calls (business_id, call_sid, state) values (1, 'CAbusy', 'queued'), (1, 'CAold', 'open')`,
  )
  expect(await run()).toMatchObject({ legs: 1 })
  const left = await query('select call_sid from callbox.call_legs order by 1')
  expect(left.map((row) => row.call_sid)).toEqual(['CAbusy', 'CAbusyleg', 'CAnew'])
})

test('takes former signing secrets whose time is over', async () => {
  await query(
    `insert into businesses (business_id, signing_secret_sealed, previous_signing_secret_sealed, previous_secret_until)
     values (1, 'new', 'old', now() - interval '1 minute'), (2, 'new', 'old', now() + interval '1 minute'),
            (3, 'new', null, null)`,
  )
  expect(await run()).toMatchObject({ former_secrets: 1 })
  const left = await query(
    `select signing_secret_sealed is not null as newest, previous_signing_secret_sealed is not null as former,
            previous_secret_until is not null as until from businesses order by business_id`,
  )
  expect(left).toEqual([
    { newest: true, former: false, until: false },
    { newest: true, former: true, until: true },
    { newest: true, former: false, until: false },
  ])
})

test('keeps what operators changed for a year, or for RETENTION_DAYS when that is longer', async () => {
  const act = (daysAgo: number) =>
    query(
      `insert into audit (operator, action, at) values ('night', 'route.parked', now() - make_interval(days => $1))`,
      [daysAgo],
    )
  for (const daysAgo of [364, 366, 399, 401]) await act(daysAgo)
  const longer = { ...parts, config: { retentionDays: 400 } }
  expect(await retain(longer, new AbortController().signal)).toMatchObject({ audit: 1 })
  expect(await run()).toMatchObject({ audit: 2 })
  expect(await query('select 1 from audit')).toHaveLength(1)
})

test('keeps bulk requeues as long, and those that run for ever', async () => {
  for (const [state, daysAgo] of [
    ['done', 364],
    ['done', 366],
    ['stopped', 366],
    ['running', 366],
  ]) {
    await query(
      `insert into requeues (operator, filter, until, state, total, total_is_exact, created_at)
       values ('night', '{}', now(), $1, 0, true, now() - make_interval(days => $2))`,
      [state, daysAgo],
    )
  }
  expect(await run()).toMatchObject({ requeues: 2 })
  expect(await query('select state from requeues order by 1')).toEqual([{ state: 'done' }, { state: 'running' }])
})

test('leaves the work to the process that is at it', async () => {
  const id = await enqueue('CAother')
  await finish(id, 'delivered', 31)
  const other = await database.knex.transaction()
  await other.raw(`select pg_advisory_xact_lock('callbox.installation'::regclass::oid::integer, 0)`)
  expect(await run()).toMatchObject({ deliveries: 0 })
  await other.rollback()
  expect(await run()).toMatchObject({ deliveries: 1 })
})

test('a stop ends it between two batches, and stops the timer', async () => {
  const id = await enqueue('CAstop')
  await finish(id, 'delivered', 31)
  expect(await retain(parts, AbortSignal.abort())).toEqual({})
  await startRetention(parts).stop()
})
