import { pino } from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { RequeueRunner } from '../src/admin/requeue-runner.ts'
import { HintSender } from '../src/database/hints.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { countDeliveries } from '../src/outbox/count-deliveries.ts'
import { pageSize } from '../src/outbox/delivery-walk.ts'
import { requeueDelivery } from '../src/outbox/requeue.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { callsMadeDue, dueChanges, forgetDueChanges, watchDueRows } from './helpers/due-changes.ts'
import { knexThatDiesAfter } from './helpers/dying-knex.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { type DeliveryState, enqueue, setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
let hints: HintSender
let runner: RequeueRunner
const startRunner = () => {
  runner = new RequeueRunner({ knex: database.knex, hints, log: pino({ level: 'silent' }) })
  runner.start()
}
beforeAll(async () => {
  database = await createTestDatabase()
  await watchDueRows(database)
  api = await startAdminApi(database)
  hints = new HintSender(database.pool, defaultSchema)
  startRunner()
})
afterAll(async () => {
  await runner.stop()
  await hints.flush()
})
beforeEach(async () => {
  await emptyTables(database, 'webhook_outbox, webhook_attempts, routes, requeues, audit')
})

const query = async (sql: string, values: unknown[] = []) => (await database.pool.query(sql, values)).rows
const post = (path: string, body?: unknown) => api.send('POST', `/admin/requeues${path}`, body)
const get = async (id: string) => (await api.send('GET', `/admin/requeues/${id}`)).json
const order = async (filter: Record<string, unknown>) => {
  const answer = await post('', filter)
  expect([answer.status, answer.json]).toEqual([202, expect.objectContaining({ state: 'running', operator: 'night' })])
  return answer.json
}
const untilState = (id: string, state: string) =>
  eventually(`requeue ${id} is ${state}`, async () => {
    const requeue = await get(id)
    return requeue.state === state && requeue
  })
/** CallSids of what was requeued since the last fill. */
const requeued = () => callsMadeDue(database)
const set = (id: string, state: DeliveryState) => setDeliveries(database, 'id = $1', [id], state)
const finished = { finished_at: '2025-01-01T00:00:00Z' }

/** Deliveries named by what they are, of two businesses; those that are pending wait. */
async function fill(): Promise<void> {
  for (const status of ['delivered', 'failed', 'skipped', 'pending'] as const) {
    for (const [business, direction] of [
      ['1', 'inbound'],
      ['1', 'outbound'],
      ['2', 'inbound'],
    ] as const) {
      const id = await enqueue(database, business, `${status} ${business} ${direction}`, direction)
      const times = status === 'pending' ? { due_at: '2100-01-01T00:00:00Z' } : finished
      await set(id, { status, ...times, attempt_count: 8, step: 7, reason: 'why' })
    }
  }
  await forgetDueChanges(database)
}

describe('requeues what its filter says', () => {
  const unsent = ['failed', 'skipped']
  const routes = ['1 inbound', '1 outbound', '2 inbound']
  const each = (statuses: string[], of = routes) =>
    statuses.flatMap((status) => of.map((route) => `${status} ${route}`))
  const both = { since: '2024-03-03T03:03:03.000003Z', until: '2024-03-03T03:03:03.000004Z' }

  test.each([
    ['nothing: what has failed or was skipped', {}, each(unsent)],
    ['a status', { status: 'failed' }, each(['failed'])],
    ['delivered, when it is asked for', { status: 'delivered' }, each(['delivered'])],
    ['pending: waiting ones', { status: 'pending' }, each(['pending'])],
    ['a business', { business_id: '1' }, each(unsent, ['1 inbound', '1 outbound'])],
    ['a direction', { direction: 'outbound' }, each(unsent, ['1 outbound'])],
    ['a business and a status', { business_id: '2', status: 'delivered' }, ['delivered 2 inbound']],
    ['a call', { call_sid: 'failed 1 outbound' }, ['failed 1 outbound']],
    ['a call that was delivered', { call_sid: 'delivered 1 outbound' }, []],
    [
      'a call that was delivered, asked for',
      { call_sid: 'delivered 1 outbound', status: 'delivered' },
      ['delivered 1 outbound'],
    ],
    ['an event type', { event_type: 'call.completed', direction: 'outbound' }, each(unsent, ['1 outbound'])],
    ['another event type', { event_type: 'call.ended' }, []],
    ['since, included', { since: both.since, until: both.until }, ['skipped 2 inbound']],
    ['until, not included', { until: both.since }, []],
    ['since alone', { since: both.until }, each(unsent).filter((call) => call !== 'skipped 2 inbound')],
    ['what nobody is', { call_sid: "' or 1=1" }, []],
  ])('%s', async (_name, filter, expected) => {
    await fill()
    await setDeliveries(database, 'call_sid = $1', ['skipped 2 inbound'], { created_at: both.since })
    const dry = await post('', { ...filter, dry_run: true })
    expect(dry.status).toBe(200)
    expect(dry.json).toMatchObject({ dry_run: true, total: expected.length, total_is_exact: true })
    const shown = dry.json.examples.map((one: { call_sid: string }) => one.call_sid)
    expect(shown).toHaveLength(Math.min(5, expected.length))
    expect(expected).toEqual(expect.arrayContaining(shown))
    expect([await requeued(), await query('select 1 from requeues'), await query('select 1 from audit')]).toEqual([
      [],
      [],
      [],
    ])

    const { id, total, total_is_exact } = await order(filter)
    expect([total, total_is_exact]).toEqual([expected.length, true])
    const done = await untilState(id, 'done')
    expect(done).toMatchObject({ filter, matched: expected.length, requeued: expected.length, error: null })
    expect(done.finished_at).toMatch(/Z$/)
    expect(await requeued()).toEqual([...expected].sort())
  })
})

test('as one requeue does: same id and bytes, schedule from its start, attempts counted on', async () => {
  await fill()
  const before = await query('select call_sid, id, payload::text from webhook_outbox order by call_sid')
  for (const status of ['failed', 'pending']) await untilState((await order({ status, business_id: '2' })).id, 'done')
  const columns = 'status, attempt_count::int, step, requeued, finished_at, reason, due_at <= now() as is_due'
  const stored = async (call: string) =>
    (await query(`select ${columns} from webhook_deliveries where call_sid = $1`, [call]))[0]
  const dueAgain = { status: 'pending', attempt_count: 8, finished_at: null, reason: null, is_due: true }
  expect(await stored('failed 2 inbound')).toEqual({ ...dueAgain, step: 0, requeued: true })
  expect(await stored('pending 2 inbound')).toEqual({ ...dueAgain, step: 7, requeued: false })
  expect(await query('select call_sid, id, payload::text from webhook_outbox order by call_sid')).toEqual(before)
})

test('what is due is left alone, what has no payload is counted, and routes that are missing are made', async () => {
  const due = await enqueue(database, '1', 'CAdue')
  const gone = await enqueue(database, '1', 'CAgone')
  await set(gone, { status: 'failed', ...finished, emptied: true })
  const orphan = await enqueue(database, '3', 'CAorphan', 'outbound')
  await set(orphan, { status: 'failed', ...finished })
  await emptyTables(database, 'routes')
  const pending = await untilState((await order({ status: 'pending' })).id, 'done')
  expect(pending).toMatchObject({ matched: 1, requeued: 0, already_due: 1, payload_gone: 0 })
  expect(await query('select version from webhook_due where id = $1', [due])).toEqual([{ version: '0' }])
  const failed = await untilState((await order({})).id, 'done')
  expect(failed).toMatchObject({ examined: 2, matched: 2, requeued: 1, already_due: 0, payload_gone: 1 })
  expect(await query('select business_id, direction from routes')).toEqual([
    { business_id: '3', direction: 'outbound' },
  ])
})

test('what is enqueued after the order is not walked', async () => {
  await runner.stop()
  await fill()
  const { id } = await order({})
  const late = await enqueue(database, '1', 'CAlate')
  await set(late, { status: 'failed', ...finished })
  await forgetDueChanges(database)
  startRunner()
  expect(await untilState(id, 'done')).toMatchObject({ requeued: 6 })
  expect(await requeued()).not.toContain('CAlate')
})

/** More than a page, of which every 10th has failed; all of one microsecond, so that only their ids tell them apart. */
const fillPages = async () => {
  await query(
    `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, payload, created_at)
     select 1 + n % 3, gen_random_uuid(), 'CA' || n, 'call.completed', 'inbound', '{}', '2025-06-06T06:06:06.123456Z'
     from generate_series(1, $1::integer) n`,
    [2 * pageSize + 10],
  )
  const isTenth = 'substr(call_sid, 3)::integer % 10 = 0'
  await setDeliveries(database, isTenth, [], { status: 'failed' })
  await setDeliveries(database, `not ${isTenth}`, [], { status: 'delivered' })
  await forgetDueChanges(database)
}

test.each([
  ['failed', (2 * pageSize + 10) / 10],
  ['delivered', ((2 * pageSize + 10) / 10) * 9],
])('page by page, each once: %s', async (status, expected) => {
  await fillPages()
  const { id, total } = await order({ status })
  expect(total).toBe(expected)
  expect(await untilState(id, 'done')).toMatchObject({ matched: expected, requeued: expected, payload_gone: 0 })
  expect(await query('select count(*)::int as n from webhook_due')).toEqual([{ n: expected }])
  expect(await dueChanges(database)).toEqual({ 1: expected })
})

test('beyond its bounds a count is an estimate, and says so', async () => {
  await fillPages()
  await query('analyze webhook_outbox')
  const walk = { statuses: ['delivered', 'failed'] as const, until: '2030-01-01T00:00:00Z' }
  const all = 2 * pageSize + 10
  const none = { ...walk, call_sid: 'none' }
  expect(await countDeliveries(database.knex, walk, { most: all, withinMs: 60_000 })).toMatchObject({
    count: all,
    isExact: true,
  })
  const bounded = await countDeliveries(database.knex, walk, { most: 10, withinMs: 60_000 })
  expect(bounded).toMatchObject({ isExact: false, oldest: { length: 5 } })
  expect(bounded.count).toBeGreaterThanOrEqual(pageSize)
  const hasty = await countDeliveries(database.knex, walk, { most: all, withinMs: 0 })
  expect(hasty).toMatchObject({ isExact: false, oldest: [] })
  expect(hasty.count).toBeGreaterThan(pageSize)
  expect(await countDeliveries(database.knex, none, { most: 10, withinMs: 60_000 })).toMatchObject({
    count: 0,
    isExact: true,
  })
})

/** 1,200 that have failed, in the order of their numbers. */
const fillFailed = async () => {
  await query(
    `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, payload, created_at)
     select 1, gen_random_uuid(), 'CA' || n, 'call.completed', 'inbound', '{}',
            timestamptz '2025-06-06T06:06:06Z' + n * interval '1 second'
     from generate_series(1, 1200) n`,
  )
  await setDeliveries(database, 'true', [], { status: 'failed' })
  await forgetDueChanges(database)
}

describe('stop and resume', () => {
  /** Keeps the batch that comes to this delivery waiting until it is let go. */
  const hold = async (callSid: string) => {
    const trx = await database.knex.transaction()
    await trx('callbox.webhook_outbox').where({ call_sid: callSid }).forUpdate().select('id')
    return { letGo: () => trx.rollback() }
  }
  test('a stop takes effect at the next batch, a resume goes on there, nothing twice', async () => {
    await fillFailed()
    const held = await hold('CA600')
    const { id } = await order({})
    await eventually('the first batch is done', async () => (await get(id)).requeued === 500)
    const stopping = post(`/${id}/stop`)
    await held.letGo()
    expect((await stopping).json).toMatchObject({ state: 'stopped', requeued: expect.any(Number), finished_at: null })
    const stopped = await get(id)
    expect([500, 1000]).toContain(stopped.requeued)
    expect(await requeued()).toHaveLength(stopped.requeued)
    expect((await post(`/${id}/stop`)).json).toEqual(stopped)

    expect((await post(`/${id}/resume`)).json).toMatchObject({ state: 'running' })
    expect(await untilState(id, 'done')).toMatchObject({ requeued: 1200, matched: 1200, examined: 1200 })
    expect(await dueChanges(database)).toEqual({ 1: 1200 })
    expect((await post(`/${id}/stop`)).status).toBe(409)
    expect((await post(`/${id}/resume`)).status).toBe(409)
    const acts = await query(`select action, requeue_id, detail from audit order by at`)
    expect(acts.map(({ action, requeue_id }) => [action, requeue_id])).toEqual([
      ['requeue.started', id],
      ['requeue.stopped', id],
      ['requeue.resumed', id],
    ])
    expect(acts[1].detail).toEqual({ requeued: stopped.requeued })
  })

  test('one that waits for a row does not keep others waiting for long, and comes to it', async () => {
    await fillFailed()
    await enqueue(database, '2', 'CAother').then((id) => set(id, { status: 'failed', ...finished }))
    const held = await hold('CA1')
    const slow = await order({ business_id: '1' })
    const other = new RequeueRunner({ knex: database.knex, hints, log: pino({ level: 'silent' }) })
    other.start()
    try {
      const quick = await order({ business_id: '2' })
      await untilState(quick.id, 'done')
      expect(await get(slow.id)).toMatchObject({ state: 'running', requeued: 0 })
    } finally {
      await held.letGo()
      await other.stop()
    }
    expect(await untilState(slow.id, 'done')).toMatchObject({ requeued: 1200 })
  })

  test('one that cannot go on has failed and says so; resumed it begins where it was', async () => {
    await fillFailed()
    const [seventh] = await query(`select id from webhook_outbox where call_sid = 'CA700'`)
    await query(`alter table webhook_due add constraint no_more check (id <> '${seventh.id}')`)
    const { id } = await order({})
    const failed = await untilState(id, 'failed')
    expect(failed).toMatchObject({ requeued: 500, error: expect.stringContaining('23514') })
    expect((await post(`/${id}/stop`)).status).toBe(409)
    await query('alter table webhook_due drop constraint no_more')
    expect((await post(`/${id}/resume`)).json).toMatchObject({ state: 'running', error: null, finished_at: null })
    expect(await untilState(id, 'done')).toMatchObject({ requeued: 1200 })
    expect(await dueChanges(database)).toEqual({ 1: 1200 })
  })
})

test('a row that became something else while it was waited for is left as it is', async () => {
  const id = await enqueue(database, '1', 'CA1')
  await set(id, { status: 'failed', ...finished })
  const trx = await database.knex.transaction()
  await requeueDelivery(trx, '1', id)
  const requeue = await order({ status: 'failed' })
  await untilSomebodyWaits(database, 'transactionid')
  // As a dispatcher that is quick enough would.
  await trx('callbox.webhook_due').where({ id }).delete()
  await trx.commit()
  expect(await untilState(requeue.id, 'done')).toMatchObject({ matched: 1, requeued: 0, already_due: 0 })
  expect(await query('select status from webhook_deliveries')).toEqual([{ status: 'delivered' }])
  expect(await query('select from webhook_due')).toEqual([])
})

test('cut off after any of its statements, it goes on as if it had not been', async () => {
  await runner.stop()
  const log = pino({ level: 'silent' })
  let lastCut = ''
  for (let n = 1; lastCut !== 'COMMIT;'; n++) {
    await emptyTables(database, 'webhook_outbox, requeues')
    await fillFailed()
    const { id } = await order({})
    const { knex, statements } = knexThatDiesAfter(database.url, n)
    const dying = new RequeueRunner({ knex, hints, log })
    dying.start()
    await eventually(`it is cut off after ${n} statements`, () => statements.length >= n)
    await dying.stop()
    lastCut = statements[n - 1] ?? ''
    if ((await get(id)).state === 'failed') await post(`/${id}/resume`)
    startRunner()
    expect(await untilState(id, 'done')).toMatchObject({ matched: 1200, requeued: 1200 })
    await runner.stop()
    expect(await query('select distinct status from webhook_deliveries')).toEqual([{ status: 'pending' }])
    expect(await dueChanges(database)).toEqual({ 1: 1200 })
  }
  startRunner()
})

describe('the list', () => {
  test('newest first, by state, page by page', async () => {
    await runner.stop()
    const ids: string[] = []
    for (let n = 0; n < 5; n++) ids.unshift((await order({ business_id: String(n + 1) })).id)
    await post(`/${ids[0]}/stop`)
    const list = async (query = '') => (await api.send('GET', `/admin/requeues?${query}`)).json
    const idsOf = (answer: { items: { id: string }[] }) => answer.items.map(({ id }) => id)
    expect(idsOf(await list())).toEqual(ids)
    expect(idsOf(await list('state=stopped'))).toEqual([ids[0]])
    const first = await list('limit=3')
    expect(idsOf(first)).toEqual(ids.slice(0, 3))
    const second = await list(`limit=3&cursor=${first.next_cursor}`)
    expect([idsOf(second), second.next_cursor]).toEqual([ids.slice(3), null])
    expect(first.items[0]).toEqual(await get(ids[0] ?? ''))
    startRunner()
  })

  test('unknown: 404; what is not understood: 400, and nothing is stored', async () => {
    const unknown = '11111111-1111-4111-8111-111111111111'
    for (const path of [`/${unknown}/stop`, `/${unknown}/resume`]) expect((await post(path)).status).toBe(404)
    expect((await api.send('GET', `/admin/requeues/${unknown}`)).status).toBe(404)
    expect((await api.send('GET', '/admin/requeues/1')).status).toBe(400)
    for (const body of [
      ...[[], 'x', { status: 'sent' }, { status: ['failed'] }, { business_id: 1 }, { dry_run: 'true' }, { limit: '5' }],
      ...[{ since: 'yesterday' }, { until: '0000-01-01T00:00:00Z' }, { call_sid: 'a\0b' }, { direction: null }],
    ]) {
      expect([body, (await post('', body)).status]).toEqual([body, 400])
    }
    expect(await query('select 1 from requeues')).toEqual([])
  })

  test('a business whose id came as a number is told to be a text', async () => {
    const { json } = await post('', { business_id: 10 })
    expect(json).toMatchObject({ detail: expect.stringMatching(/^business_id: got 10; expected .* as a text: "10"$/) })
  })
})

test('hints the routes of a batch after its commit', async () => {
  await fill()
  const listener = await database.pool.connect()
  const heard: string[] = []
  listener.on('notification', ({ payload }) => heard.push(...(payload ?? '').split(',')))
  await listener.query('listen callbox_outbox')
  try {
    await order({ status: 'failed' })
    await eventually('all three routes are hinted', () => heard.length === 3)
    expect(heard.sort()).toEqual(['1:inbound', '1:outbound', '2:inbound'])
  } finally {
    await listener.query('unlisten *')
    listener.release()
  }
})
