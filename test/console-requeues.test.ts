import { randomUUID } from 'node:crypto'
import { pino } from 'pino'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { RequeueRunner } from '../src/admin/requeue-runner.ts'
import { HintSender } from '../src/database/hints.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { otherToken } from './helpers/admin-api.ts'
import { startConsole, type TestConsole, textOf, type Visitor } from './helpers/console.ts'
import { hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { type DeliveryState, deliveryOf, enqueue, setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, routes, webhook_outbox, webhook_attempts, requeues, audit')
})

const path = '/console/requeues'

/** Deliveries of business 1 that have failed, by their CallSids. */
async function failed(
  calls: readonly string[],
  status: DeliveryState['status'] & string = 'failed',
): Promise<string[]> {
  const ids: string[] = []
  for (const call of calls) ids.push(await enqueue(database, '1', call, 'inbound', '{}'))
  await setDeliveries(database, 'id = any($1)', [ids], { status, finished_at: '2025-12-10T14:23:50Z' })
  return ids
}

/** A requeue as its runner would have left it. */
async function stored(columns: Record<string, unknown>): Promise<string> {
  const id = randomUUID()
  const defaults = {
    id,
    operator: 'day',
    filter: '{}',
    until: '2025-12-10T14:00:00Z',
    total: 200,
    total_is_exact: true,
  }
  await database.knex('callbox.requeues').insert({ ...defaults, ...columns })
  return id
}

const stateOf = async (id: string): Promise<string> =>
  (await database.knex('callbox.requeues').where({ id }).first('state')).state
const auditOf = async (): Promise<unknown[]> =>
  (await database.pool.query('select action, operator from audit order by id')).rows

/** Requeues as every API process does, until `done`. */
async function runUntil(done: () => Promise<boolean>): Promise<void> {
  const hints = new HintSender(database.pool, defaultSchema)
  const runner = new RequeueRunner({ knex: database.knex, hints, log: pino({ level: 'silent' }) })
  runner.start()
  await eventually('the requeue is where it should be', done)
  await runner.stop()
  await hints.flush()
}

describe('before the order', () => {
  test('a webhook-id leads to its one delivery; an id that is none may be what a program calls its calls', async () => {
    const called = randomUUID()
    const [id] = await failed([called])
    const found = await night.get(`${path}/new?call_sid=${id}`)
    expect([found.status, found.headers.get('location')]).toEqual([303, `/console/deliveries/${id}`])
    expect(textOf((await night.get(`${path}/new?call_sid=${called}`)).text)).toContain('Requeue 1 delivery?')
    expect((await night.get(`/console/deliveries?call_sid=${called}`)).text).toContain(`/console/deliveries/${id}`)
  })

  test('says how many match, and shows some of them', async () => {
    const ids = await failed(['CA1', 'CA2', 'CA3', 'CA4', 'CA5', 'CA6'])
    await failed(['CA7'], 'delivered')
    const { status, text } = await night.get(`${path}/new?business_id=1&since=2025-12-10T14:00`)
    expect(status).toBe(200)
    expect(textOf(text)).toContain('Requeue 6 deliveries?')
    expect(textOf(text)).toContain('The oldest 5 of them')
    expect(text).toContain(`href="/console/deliveries/${ids[0]}"`)
    expect(text).toContain('<input type="hidden" name="business_id" value="1">')
    expect(text).toContain('<input type="hidden" name="since" value="2025-12-10T14:00:00Z">')
    expect((await database.knex('callbox.requeues').count())[0]).toEqual({ count: '0' })
  })

  test.each([
    ['delivered', 'These were accepted.'],
    ['pending', 'These wait already.'],
  ] as const)('warns of what is %s', async (state, warning) => {
    await failed(['CA1'], state)
    const { text } = await night.get(`${path}/new?status=${state}`)
    expect(textOf(text)).toContain('Requeue 1 delivery?')
    expect(text).toContain(warning)
  })

  test('has no button when nothing matches', async () => {
    const { text } = await night.get(`${path}/new`)
    expect(text).toContain('there is nothing to requeue')
    expect(text).not.toContain(`action="${path}"`)
  })

  test('says what is wrong with the filter', async () => {
    const { status, text } = await night.get(`${path}/new?business_id=${encodeURIComponent(hostile)}`)
    expect(status).toBe(400)
    expect(text).toContain('expected a whole number from 1')
    expect(text).not.toMatch(/<script>alert|name="csrf" value="[^"]+"><input/)
  })
})

describe('the order', () => {
  test('is for what the filter said, shows how far it is, and ends', async () => {
    const [first = '', second = ''] = await failed(['CA1', `CA2${hostile}`])
    const answer = await night.post(path, { business_id: '1', status: 'failed', call_sid: `CA2${hostile}` })
    const page = await night.follow(answer)
    expect(page.text).toContain('The requeue has begun.')
    const at = answer.headers.get('location') ?? ''
    expect(page.text).toContain(`hx-get="${at}/progress" hx-trigger="every 1s"`)
    expect(textOf(page.text)).toContain(`call sid: CA2${hostile}`)
    expect(page.text).not.toContain('<script>alert')
    expect(textOf(page.text)).toContain('0 of 1')

    const id = at.split('/').at(-1) ?? ''
    await runUntil(async () => (await stateOf(id)) === 'done')
    expect(await deliveryOf(database, second)).toMatchObject({ status: 'pending' })
    expect(await deliveryOf(database, first)).toMatchObject({ status: 'failed' })
    const { text } = await night.get(`${at}/progress`)
    expect(text).toMatch(/^<div id="progress" class="live">/)
    expect(text).toContain('<progress max="100" value="100"')
    expect(textOf(text)).toMatch(/done.*Made due1/s)
    expect(await auditOf()).toEqual([{ action: 'requeue.started', operator: 'night' }])
  })

  test.each([{ business_id: 'x' }, { status: 'lost' }, { since: 'yesterday' }, { state: 'failed' }])(
    '%j is refused, and nothing is ordered',
    async (fields) => {
      expect((await night.post(path, fields)).status).toBe(400)
      expect((await database.knex('callbox.requeues').count())[0]).toEqual({ count: '0' })
    },
  )
})

describe('one that runs', () => {
  test('tells how far it is, in a bar and in words', async () => {
    const columns = { matched: 50, requeued: 47, already_due: 2, payload_gone: 1, examined: 4_000 }
    const id = await stored(columns)
    const { text } = await night.get(`${path}/${id}`)
    expect(text).toContain('<progress max="100" value="25" aria-label="Progress of this requeue">25%</progress>')
    for (const told of ['50 of 200', 'Made due47', 'Were due already2', 'Without their payload1', 'Looked at4,000']) {
      expect(textOf(text)).toContain(told)
    }
    const estimated = await stored({ total_is_exact: false, total: 1_000_000, matched: 2_000_000 })
    expect(textOf((await night.get(`${path}/${estimated}`)).text)).toContain('2,000,000 of about 2,000,000')
  })

  test('is stopped and goes on, by operators who are on record', async () => {
    await failed(['CA1', 'CA2'])
    const answer = await night.post(path, {})
    const at = answer.headers.get('location') ?? ''
    const id = at.split('/').at(-1) ?? ''
    const stopped = await night.follow(await night.post(`${at}/stop`))
    expect(stopped.text).toContain('The requeue is stopped.')
    expect(stopped.text).not.toContain('hx-get')
    const day = await site.signedIn(otherToken)
    const resumed = await day.follow(await day.post(`${at}/resume`))
    expect(resumed.text).toContain('The requeue goes on.')
    await runUntil(async () => (await stateOf(id)) === 'done')
    expect((await night.post(`${at}/stop`)).status).toBe(409)
    expect(await auditOf()).toEqual([
      { action: 'requeue.started', operator: 'night' },
      { action: 'requeue.stopped', operator: 'night' },
      { action: 'requeue.resumed', operator: 'day' },
    ])
  })

  test('that failed says why, and can be resumed', async () => {
    const id = await stored({ state: 'failed', error: hostile, finished_at: '2025-12-10T14:00:00Z' })
    const { text } = await night.get(`${path}/${id}`)
    expect(textOf(text)).toContain(hostile)
    expect(text).not.toContain('<script>alert')
    expect(text).toContain(`action="${path}/${id}/resume"`)
  })

  test.each(['stop', 'resume'])('takes no order to %s without the secret of the session', async (order) => {
    const id = await stored({ state: order === 'stop' ? 'running' : 'stopped' })
    expect((await night.post(`${path}/${id}/${order}`, { csrf: '' })).status).toBe(403)
    expect(await stateOf(id)).toBe(order === 'stop' ? 'running' : 'stopped')
  })

  test.each([
    ['x', 400],
    [randomUUID(), 404],
  ])('that is none: %s', async (id, status) => {
    for (const part of ['', '/progress']) expect((await night.get(`${path}/${id}${part}`)).status).toBe(status)
    for (const order of ['stop', 'resume']) expect((await night.post(`${path}/${id}/${order}`)).status).toBe(status)
  })
})

test('the list has all of them, by state and page by page', async () => {
  const ids: string[] = []
  for (const [place, state] of ['done', 'stopped', 'running'].entries()) {
    const filter = JSON.stringify({ business_id: '1', event_type: hostile })
    ids.unshift(await stored({ state, filter, created_at: `2025-12-10T14:0${place}:00Z` }))
  }
  const idsOn = (text: string): string[] =>
    [...text.matchAll(/class="opens" href="\/console\/requeues\/([^"]+)"/g)].map((match) => match[1] ?? '')
  const all = await night.get(path)
  expect(idsOn(all.text)).toEqual(ids)
  expect(textOf(all.text)).toContain(`event type: ${hostile}`)
  expect(all.text).not.toContain('<script>alert')
  expect(idsOn((await night.get(`${path}?state=stopped`)).text)).toEqual([ids[1]])
  expect((await night.get(`${path}?state=lost`)).status).toBe(400)
  const first = await night.get(`${path}?limit=2`)
  expect(idsOn(first.text)).toEqual(ids.slice(0, 2))
  const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
  expect(idsOn((await night.get(next)).text)).toEqual(ids.slice(2))
})
