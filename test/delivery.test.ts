import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { attemptsOf, enqueue, untilStatus } from './helpers/outbox.ts'

let database: TestDatabase
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

test('an enqueued event is posted once, signed, and its attempt kept', async () => {
  const secret = await putBusiness(database, '10', { inbound: `${receiver.url}/ten` })
  receiver.endpoint('/ten', secret)
  runDispatcher(database.url)
  const payload = '{"text": "שלום 🙂",  "b":1}'
  const id = await enqueue(database, '10', 'CA1', 'inbound', payload)
  const row = await untilStatus(database, id, 'delivered')
  expect(row).toMatchObject({ attempt_count: 1, reason: null })
  const posts = receiver.posts.filter((post) => post.webhookId === id)
  expect(posts.map((post) => [post.verified, post.body.toString()])).toEqual([[true, payload]])
  expect(await attemptsOf(database, id)).toMatchObject([{ number: 1, result: 'ok', status_code: 200, error: null }])
})

test('a failed attempt is followed by another, with the same id and bytes', async () => {
  const secret = await putBusiness(database, '11', { inbound: `${receiver.url}/eleven` })
  receiver.endpoint('/eleven', secret)
  receiver.answers.queue('/eleven', { status: 500, body: 'oops' }, { status: 404 })
  runDispatcher(database.url)
  const id = await enqueue(database, '11', 'CA1')
  await untilStatus(database, id, 'delivered')
  const posts = receiver.posts.filter((post) => post.webhookId === id)
  expect(posts.map((post) => post.answer)).toEqual([500, 404, 200])
  expect(new Set(posts.map((post) => post.body.toString())).size).toBe(1)
  expect(await attemptsOf(database, id)).toMatchObject([
    { number: 1, result: 'http_error', status_code: 500, response_excerpt: Buffer.from('oops') },
    { number: 2, result: 'http_error', status_code: 404 },
    { number: 3, result: 'ok', status_code: 200 },
  ])
})

test('rows written by hand, with no more than their keys, are sent and listed', async () => {
  const event = (call: string) =>
    database.pool.query(
      `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, payload)
       values (10, gen_random_uuid(), $1, 'call.completed', 'inbound', '{"by":"hand"}') returning id`,
      [call],
    )
  const [due, dead] = [(await event('CA-due')).rows[0].id, (await event('CA-dead')).rows[0].id]
  await database.pool.query(`insert into webhook_due (business_id, id, direction) values (10, $1, 'inbound')`, [due])
  await database.pool.query(`insert into webhook_dead_letters (business_id, id, status) values (10, $1, 'failed')`, [
    dead,
  ])
  runDispatcher(database.url)
  await untilStatus(database, due, 'delivered')
  const { rows } = await database.pool.query(
    `select l.direction, l.created_at = o.created_at as same from webhook_dead_letters l join webhook_outbox o using (business_id, id)`,
  )
  expect(rows).toEqual([{ direction: 'inbound', same: true }])
})
