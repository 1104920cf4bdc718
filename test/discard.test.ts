import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { discardDelivery } from '../src/outbox/discard.ts'
import { requeueDelivery } from '../src/outbox/requeue.ts'
import { type AdminApi, otherToken, startAdminApi } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { attemptsOf, deliveryOf, enqueue, setDeliveries, untilStatus } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})
beforeEach(async () => {
  await emptyTables(database, 'webhook_outbox, webhook_attempts, routes, businesses, audit')
})

const discard = (id: string, body?: unknown, headers: Record<string, string> = {}) =>
  api.send('POST', `/admin/deliveries/${id}/discard`, body, headers)
const get = async (id: string) => (await api.send('GET', `/admin/deliveries/${id}`)).json
const audit = async () =>
  (await database.pool.query('select operator, action, business_id, direction, delivery_id from audit order by id'))
    .rows
const dueRows = async () => (await database.pool.query('select id from webhook_due')).rows
const reason = 'the order was canceled'
const entry = (id: string, action: string, operator = 'night') => ({
  ...{ operator, action, business_id: '1', direction: 'inbound', delivery_id: id },
})

describe('POST /admin/deliveries/{id}/discard', () => {
  test.each(['pending', 'failed', 'skipped'] as const)(
    'of a %s one keeps reason, operator and attempts',
    async (status) => {
      const id = await enqueue(database, '1', 'CA1')
      await setDeliveries(database, 'id = $1', [id], { status, attempt_count: 3, reason: 'why' })
      const answer = await discard(id, { reason })
      expect(answer.status).toBe(200)
      const discarded = {
        id,
        status: 'skipped',
        reason,
        operator: 'night',
        attempt_count: 3,
        due_at: null,
        waits_for: null,
      }
      expect(answer.json).toMatchObject(discarded)
      expect(answer.json.finished_at).toMatch(/Z$/)
      expect(await get(id)).toMatchObject(discarded)
      const list = await api.send('GET', '/admin/deliveries?status=skipped')
      expect(list.json.items).toMatchObject([{ id, reason, operator: 'night' }])
      expect(await dueRows()).toEqual([])
      expect(await audit()).toEqual([entry(id, 'delivery.discarded')])
      const line = JSON.parse(api.logs.findLast((text) => text.includes('admin.delivery_discarded')) ?? '')
      expect(line).toMatchObject({ operator: 'night', delivery_id: id, changed: true })
      expect(JSON.stringify(line)).not.toContain(reason)
    },
  )

  test('without a reason says who did it', async () => {
    const id = await enqueue(database, '1', 'CA1')
    expect((await discard(id)).json).toMatchObject({
      status: 'skipped',
      reason: 'discarded by night',
      operator: 'night',
    })
  })

  test('again changes nothing, whatever the operator and the reason', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const first = await discard(id, { reason })
    const day = { authorization: `Bearer ${otherToken}` }
    for (const again of [await discard(id, { reason }), await discard(id, { reason: 'another' }, day)]) {
      expect([again.status, again.json]).toEqual([200, first.json])
    }
    expect(await audit()).toEqual([entry(id, 'delivery.discarded')])
  })

  test('of a delivered one is refused: 409, also once retention has emptied it', async () => {
    const id = await enqueue(database, '1', 'CA1')
    for (const emptied of [false, true]) {
      await setDeliveries(database, 'id = $1', [id], { status: 'delivered', emptied })
      const answer = await discard(id, { reason })
      expect([answer.status, answer.json.detail]).toEqual([409, expect.stringContaining('accepted')])
      expect(await get(id)).toMatchObject({ status: 'delivered', reason: null, operator: null })
    }
    expect(await audit()).toEqual([])
  })

  test('of an unknown one: 404; an invalid UUID or reason: 400', async () => {
    expect((await discard('11111111-1111-8111-8111-111111111111')).status).toBe(404)
    expect((await discard('1')).status).toBe(400)
    const id = await enqueue(database, '1', 'CA1')
    for (const body of [
      { reason: '' },
      { reason: ' ' },
      { reason: 'x'.repeat(201) },
      { reason: 7 },
      { why: 'x' },
      [],
    ]) {
      expect([body, (await discard(id, body)).status]).toEqual([body, 400])
    }
    expect(await get(id)).toMatchObject({ status: 'pending' })
    expect((await discard(id, { reason: 'x'.repeat(200) })).status).toBe(200)
    const wrong = await api.send('GET', `/admin/deliveries/${id}/discard`)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('is not made if it cannot be recorded', async () => {
    const id = await enqueue(database, '1', 'CA1')
    await database.pool.query(`alter table audit add constraint full_disk check (at < '2000-01-01') not valid`)
    try {
      expect((await discard(id, { reason })).status).toBe(500)
    } finally {
      await database.pool.query('alter table audit drop constraint full_disk')
    }
    expect(await get(id)).toMatchObject({ status: 'pending', operator: null })
  })

  test('a requeue brings it back, with its attempts counted on; a later end has no operator', async () => {
    const id = await enqueue(database, '1', 'CA1')
    await setDeliveries(database, 'id = $1', [id], { status: 'failed', attempt_count: 8 })
    await discard(id, { reason })
    const back = await api.send('POST', `/admin/deliveries/${id}/requeue`)
    expect(back.json).toMatchObject({ status: 'pending', operator: null, attempt_count: 8, finished_at: null })
    expect(await audit()).toEqual([entry(id, 'delivery.discarded'), entry(id, 'delivery.requeued')])
    expect((await discard(id, { reason: 'once more' })).json).toMatchObject({ status: 'skipped', reason: 'once more' })
  })

  test('hints its route: an event of the same call that waited for it can go', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const listener = new pg.Client(database.url)
    await listener.connect()
    try {
      await listener.query('listen callbox_outbox')
      const heard = new Promise((resolve) => listener.once('notification', resolve))
      await discard(id, { reason })
      expect(await heard).toMatchObject({ payload: '1:inbound' })
    } finally {
      await listener.end()
    }
  })
})

describe('with a dispatcher at work', () => {
  test.each([
    ['accepted', 200, 'ok'],
    ['refused', 500, 'http_error'],
  ] as const)('an attempt in flight that is %s is recorded, and changes nothing', async (_how, status, result) => {
    const receiver = await startReceiver()
    try {
      receiver.endpoint('/one', await putBusiness(database, '1', { inbound: `${receiver.url}/one` }))
      receiver.answers.queue('/one', 'hang')
      const id = await enqueue(database, '1', 'CA1')
      const dispatcher = runDispatcher(database.url, { WEBHOOK_TIMEOUT: '30s' })
      await eventually('it is in flight', () => receiver.answers.hanging === 1)
      expect((await discard(id, { reason })).json).toMatchObject({ status: 'skipped', attempt_count: 0 })
      receiver.answers.release({ status })
      await eventually('the attempt is recorded', async () => (await attemptsOf(database, id)).length === 1)
      await dispatcher.stop()
      expect(await attemptsOf(database, id)).toMatchObject([{ number: 1, result, status_code: status }])
      expect(await get(id)).toMatchObject({ status: 'skipped', reason, operator: 'night', last_status_code: status })
      expect(receiver.posts).toHaveLength(1)
    } finally {
      await receiver.close()
    }
  })

  test('what was discarded is not sent, and what is requeued is', async () => {
    const receiver = await startReceiver()
    try {
      receiver.endpoint('/one', await putBusiness(database, '1', { inbound: `${receiver.url}/one` }))
      const [kept, discarded] = [await enqueue(database, '1', 'CA1'), await enqueue(database, '1', 'CA2')]
      await discard(discarded, { reason })
      runDispatcher(database.url)
      await untilStatus(database, kept, 'delivered')
      expect(receiver.posts.map(({ webhookId }) => webhookId)).toEqual([kept])
      await api.send('POST', `/admin/deliveries/${discarded}/requeue`)
      await untilStatus(database, discarded, 'delivered')
      expect(receiver.posts.map(({ webhookId }) => webhookId)).toEqual([kept, discarded])
      expect(await get(discarded)).toMatchObject({ operator: null, reason: null, attempt_count: 1 })
    } finally {
      await receiver.close()
    }
  })
})

describe('at the same moment as', () => {
  /** The discard waits for the transaction that `work` leaves open, and continues when that commits. */
  async function discardDuring(id: string, work: (client: pg.PoolClient) => Promise<unknown>) {
    const client = await database.pool.connect()
    try {
      await client.query('begin')
      await work(client)
      const answer = discard(id, { reason })
      await untilSomebodyWaits(database, 'transactionid')
      await client.query('commit')
      return await answer
    } finally {
      client.release()
    }
  }
  const settle = (id: string, status: string, waitMs: number | null, client: Pick<pg.PoolClient, 'query'>) =>
    client.query(
      `select * from callbox_settle(array[row(1, $1::uuid, 0, $2::text, null, $3::float8, 1, gen_random_uuid(), 1,
         extract(epoch from now()) * 1000, 5, 'http://127.0.0.1/', $4::text, null, null, null)::webhook_settlement], false)`,
      [id, status, waitMs, status === 'delivered' ? 'ok' : 'timeout'],
    )

  test('a settle that delivers it: refused', async () => {
    const id = await enqueue(database, '1', 'CA1')
    expect((await discardDuring(id, (client) => settle(id, 'delivered', null, client))).status).toBe(409)
    expect(await get(id)).toMatchObject({ status: 'delivered', operator: null })
    expect(await audit()).toEqual([])
  })

  test('a settle that gives it up: it is skipped, by the operator', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const answer = await discardDuring(id, (client) => settle(id, 'failed', null, client))
    expect(answer.json).toMatchObject({ status: 'skipped', reason, operator: 'night', attempt_count: 1 })
  })

  test('a settle that lets it wait: it is skipped, with the attempt counted', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const answer = await discardDuring(id, (client) => settle(id, 'pending', 60_000, client))
    expect(answer.json).toMatchObject({ status: 'skipped', reason, operator: 'night', attempt_count: 1 })
    expect(await dueRows()).toEqual([])
  })

  test('a settle that comes after it: its attempt is recorded, and nothing else', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const trx = await database.knex.transaction()
    expect(await discardDelivery(trx, '1', id, 'night', reason)).toMatchObject({ changed: true })
    const settling = settle(id, 'delivered', null, database.pool)
    await untilSomebodyWaits(database, 'transactionid')
    await trx.commit()
    expect((await settling).rows).toEqual([{ what: 'superseded', name: id }])
    expect(await get(id)).toMatchObject({ status: 'skipped', operator: 'night' })
    expect(await attemptsOf(database, id)).toHaveLength(1)
  })

  test.each(['failed', 'skipped', 'delivered'] as const)(
    'a requeue of a %s one: the discard comes after it',
    async (status) => {
      const id = await enqueue(database, '1', 'CA1')
      await setDeliveries(database, 'id = $1', [id], { status, attempt_count: 2 })
      const trx = await database.knex.transaction()
      await requeueDelivery(trx, '1', id)
      const answer = discard(id, { reason })
      await untilSomebodyWaits(database, 'transactionid')
      await trx.commit()
      expect((await answer).json).toMatchObject({ status: 'skipped', operator: 'night', attempt_count: 2 })
      expect(await dueRows()).toEqual([])
    },
  )

  test('a requeue that waits for it: the requeue comes after it', async () => {
    const id = await enqueue(database, '1', 'CA1')
    for (const status of ['pending', 'failed', 'skipped'] as const) {
      await setDeliveries(database, 'id = $1', [id], { status })
      const trx = await database.knex.transaction()
      await discardDelivery(trx, '1', id, 'night', reason)
      const answer = api.send('POST', `/admin/deliveries/${id}/requeue`)
      await untilSomebodyWaits(database, 'transactionid')
      await trx.commit()
      expect((await answer).json).toMatchObject({ status: 'pending', operator: null })
      expect(await dueRows()).toEqual([{ id }])
      expect((await database.pool.query('select from webhook_dead_letters')).rows).toEqual([])
    }
  })

  test('ten others: one entry in the audit', async () => {
    const id = await enqueue(database, '1', 'CA1')
    const answers = await Promise.all(Array.from({ length: 10 }, () => discard(id, { reason })))
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(await audit()).toEqual([entry(id, 'delivery.discarded')])
    expect((await deliveryOf(database, id)).status).toBe('skipped')
  })
})
