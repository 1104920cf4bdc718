import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { attemptsOf, deliveryOf, enqueue, setDeliveries, untilStatus } from './helpers/outbox.ts'
import { startTcpProxy } from './helpers/tcp-proxy.ts'

type Client = Pick<pg.ClientBase, 'query'>

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

beforeEach(async () => {
  await emptyTables(database, 'webhook_outbox, webhook_attempts, businesses, routes')
})

let lastBusiness = 0
async function newBusiness(maxConcurrency = 16): Promise<string> {
  lastBusiness += 1
  const businessId = String(lastBusiness)
  const secret = await putBusiness(database, businessId, { inbound: `${receiver.url}/${businessId}`, maxConcurrency })
  receiver.endpoint(`/${businessId}`, secret)
  return businessId
}

async function enqueueMany(businessId: string, count: number, client: Client = database.pool): Promise<void> {
  await client.query(
    `select callbox_enqueue($1, 'CA' || n, 'call.completed', 'inbound', '{}') from generate_series(1, $2::int) n`,
    [businessId, count],
  )
}

/** Enqueues a delivery that is due (or has been due) at another time. */
async function enqueueDueIn(ms: number, business: string, callSid: string): Promise<string> {
  const client = await database.pool.connect()
  await client.query('begin')
  const id = await enqueue({ pool: client }, business, callSid)
  await client.query(`update webhook_due set due_at = due_at + $2 * interval '1 millisecond' where id = $1`, [id, ms])
  await client.query('commit')
  client.release()
  return id
}

async function untilAllDelivered(): Promise<void> {
  await eventually('all are delivered', async () => {
    const { rows } = await database.pool.query(`select from webhook_deliveries where status <> 'delivered' limit 1`)
    return rows.length === 0
  })
}

/** A delivery whose first POST hangs, of a dispatcher whose connections to the database go through a proxy. */
async function startPostThatHangs(...then: Parameters<typeof receiver.answers.queue>[1][]) {
  const proxy = await startTcpProxy(database.url)
  onTestFinished(() => proxy.close())
  const business = await newBusiness()
  receiver.answers.queue(`/${business}`, 'hang', ...then)
  const { metrics } = runDispatcher(proxy.databaseUrl, { WEBHOOK_TIMEOUT: '30s' })
  const id = await enqueue(database, business, 'CA-hangs')
  await eventually('the POST hangs', () => receiver.answers.hanging === 1)
  return { proxy, business, metrics, id }
}

const postsOf = (id: string): number => receiver.posts.filter((post) => post.webhookId === id).length

test('a read of a snapshot older than a settle does not send the settled row twice', async () => {
  const { proxy, business, metrics, id } = await startPostThatHangs()

  const held = proxy.holdAnswer('from callbox.routes r', 'CA-beside')
  await enqueue(database, business, 'CA-beside')
  const read = await held
  receiver.answers.release({ status: 200 })
  await untilStatus(database, id, 'delivered')
  await eventually(
    'the dispatcher has heard that it was settled',
    async () => (await metrics.deliveries.get()).values[0],
  )
  read.release()

  // Reads follow one another, so what the old one brought was dealt with before this one is sent.
  await untilStatus(database, await enqueue(database, business, 'CA-new'), 'delivered')
  expect(postsOf(id)).toBe(1)
  expect(await attemptsOf(database, id)).toMatchObject([{ result: 'ok' }])
})

test('what a read brings of a slot that was lost and gained meanwhile is not taken', async () => {
  const proxy = await startTcpProxy(database.url)
  onTestFinished(() => proxy.close())
  const business = await newBusiness()
  runDispatcher(proxy.databaseUrl)
  await untilStatus(database, await enqueue(database, business, 'CA-first'), 'delivered')
  // Due in a second, so that no read that is already under way brings it.
  const id = await enqueueDueIn(1_000, business, 'CA-lost')
  const read = await proxy.holdAnswer('from callbox.routes r', 'CA-lost')

  // Another owner takes the slot, delivers, and is gone again.
  const another = randomUUID()
  const slot = Number(business) % 64
  await database.pool.query('update slots set owner = $1 where slot = $2', [another, slot])
  await setDeliveries(database, 'id = $1', [id], { status: 'delivered' })
  await eventually('the slot has been gained again', async () => {
    const { rows } = await database.pool.query('select owner from slots where slot = $1', [slot])
    return rows[0].owner !== another
  })
  read.release()
  await untilStatus(database, await enqueue(database, business, 'CA-next'), 'delivered')
  expect(postsOf(id)).toBe(0)
})

test('a settle whose commit was not heard is repeated, and counts once', async () => {
  const { proxy, metrics, id } = await startPostThatHangs({ status: 200 })
  const settle = proxy.holdAnswer('callbox_settle', id)
  receiver.answers.release({ status: 500 })
  const committed = await settle
  committed.drop()
  expect(await untilStatus(database, id, 'delivered')).toMatchObject({ attempt_count: 2 })
  expect(await attemptsOf(database, id)).toMatchObject([{ result: 'http_error' }, { result: 'ok' }])
  expect(postsOf(id)).toBe(2)
  // The count follows the acknowledgement.
  const counts = async () => (await metrics.attempts.get()).values.map(({ labels, value }) => [labels.result, value])
  const attempts = await eventually('both are counted', async () => (await counts()).length === 2 && (await counts()))
  expect(attempts).toEqual([
    ['http_error', 1],
    ['ok', 1],
  ])
})

test('a last settle whose commit was not heard counts its delivery', async () => {
  const { proxy, metrics, id } = await startPostThatHangs()
  const settle = proxy.holdAnswer('callbox_settle', id)
  receiver.answers.release({ status: 200 })
  const committed = await settle
  committed.drop()
  const count = await eventually('it is counted', async () => (await metrics.attempts.get()).values[0])
  expect(count.value).toBe(1)
  expect((await metrics.deliveries.get()).values).toMatchObject([{ labels: { outcome: 'delivered' }, value: 1 }])
})

test('a payload that is missing ends its delivery, and hides none of its route', async () => {
  const business = await newBusiness()
  const ids: string[] = []
  for (let n = 0; n < 40; n += 1) ids.push(await enqueue(database, business, `CA-half-${n}`))
  const [kept = ''] = ids.splice(-1)
  await database.pool.query('update webhook_outbox set payload = null where id = any($1)', [ids])
  runDispatcher(database.url)
  await untilStatus(database, kept, 'delivered')
  for (const id of ids) {
    expect(await untilStatus(database, id, 'failed')).toMatchObject({ reason: 'its payload is not in the database' })
  }
})

test('an enqueue that commits a minute late is delivered, on a busy route and on a quiet one', async () => {
  const [busy, quiet] = [await newBusiness(), await newBusiness()]
  receiver.answers.queue(`/${busy}`, 'hang', { status: 200 })
  runDispatcher(database.url, { WEBHOOK_TIMEOUT: '40s' })
  // Both cursors are now at about this moment; the one that hangs keeps its route from being forgotten.
  await enqueue(database, busy, 'CA-hangs')
  await eventually('one hangs', () => receiver.answers.hanging === 1)
  for (const business of [busy, quiet]) {
    await untilStatus(database, await enqueue(database, business, 'CA-now'), 'delivered')
  }
  const late: string[] = []
  for (const business of [busy, quiet]) late.push(await enqueueDueIn(-60_000, business, 'CA-late'))
  for (const id of late) await untilStatus(database, id, 'delivered')
  receiver.answers.release({ status: 200 })
})

test('of many that are due at the very same moment, as many are in flight as their route allows', async () => {
  const business = await newBusiness(16)
  // Others that take the room in memory, so that it has fewer places there than it may have in flight.
  const others = []
  for (let n = 0; n < 60; n += 1) others.push(await newBusiness(1))
  for (const other of [business, ...others]) receiver.answers.always(`/${other}`, 'hang')
  for (const other of others) await enqueueMany(other, 3)
  const inFlight = () => receiver.posts.filter(({ path }) => path === `/${business}`).length
  runDispatcher(database.url, { DISPATCHER_CONCURRENCY: '80', WEBHOOK_TIMEOUT: '30s' })
  await eventually('the others hang', () => receiver.answers.hanging === others.length)
  const client = await database.pool.connect()
  await client.query('begin')
  await enqueueMany(business, 40, client)
  await client.query('update webhook_due set due_at = now() where business_id = $1', [business])
  await client.query('commit')
  client.release()
  await eventually('16 are in flight', () => inFlight() === 16)
  for (const other of [business, ...others]) receiver.answers.always(`/${other}`, null)
  receiver.answers.release({ status: 200 })
  await untilAllDelivered()
  expect(inFlight()).toBe(40)
})

test('a backlog of one business hides nobody, and all of it arrives once', async () => {
  const [large, ...small] = [await newBusiness(), await newBusiness(), await newBusiness(), await newBusiness()]
  await enqueueMany(large, 3_000)
  for (const business of small) await enqueue(database, business, 'CA1')
  runDispatcher(database.url, { DISPATCHER_CONCURRENCY: '8' })
  await untilAllDelivered()
  const ids = receiver.posts
    .filter(({ path }) => [large, ...small].includes(path.slice(1)))
    .map((post) => post.webhookId)
  expect([ids.length, new Set(ids).size]).toEqual([3_003, 3_003])
})

test('settings that changed are used for what waits', async () => {
  const business = await newBusiness(1)
  receiver.answers.always(`/${business}`, 'hang')
  runDispatcher(database.url, { WEBHOOK_TIMEOUT: '30s' })
  const ids = []
  for (let call = 0; call < 5; call += 1) ids.push(await enqueue(database, business, `CA${call}`))
  await eventually('one hangs', () => receiver.answers.hanging === 1)
  await database.pool.query(
    'update businesses set max_concurrency = 4, revision = revision + 1 where business_id = $1',
    [business],
  )
  receiver.answers.release({ status: 200 })
  await eventually('four at once', () => receiver.answers.hanging === 4)
  receiver.answers.release({ status: 200 })
  for (const id of ids) await untilStatus(database, id, 'delivered')
  expect(await deliveryOf(database, ids[0] ?? '')).toMatchObject({ attempt_count: 1 })
})
