import { afterAll, expect, onTestFinished, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { deliveryOf, untilStatus } from './helpers/outbox.ts'
import { type Psql, startPsql } from './helpers/psql.ts'

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

const secret = await putBusiness(database, '7', { inbound: `${receiver.url}/seven`, outbound: `${receiver.url}/out` })
receiver.endpoint('/seven', secret)
receiver.endpoint('/out', secret)

function psql(): Psql {
  const session = startPsql(database.url)
  onTestFinished(() => session.kill())
  return session
}

const enqueueing = (callSid: string, payload: string, direction = 'inbound') =>
  `select callbox.callbox_enqueue(7, '${callSid}', 'order.placed', '${direction}', '${payload}')`
const posts = () => receiver.posts.map((post) => [post.path, post.body.toString(), post.verified])

test("another program's transaction: what it commits is posted, what it rolls back or dies with is not", async () => {
  runDispatcher(database.url)
  const program = psql()
  await program.ask('create table orders (id int)')
  await program.ask('begin')
  await program.ask('insert into orders values (1)')
  await program.ask(enqueueing('rolled-back', '{"order": 1}'))
  await program.ask('rollback')

  await program.ask('begin')
  await program.ask('insert into orders values (2)')
  const kept = await program.ask(enqueueing('kept', '{"order":  2, "text": "שלום"}', 'outbound'))
  await program.ask('savepoint before')
  await program.ask(enqueueing('undone', '{"order": 3}'))
  await program.ask('rollback to before')
  // Nothing of an open transaction is sent, however long it stays open: this one is committed meanwhile.
  const meanwhile = await psql().ask(enqueueing('meanwhile', '{}'))
  await untilStatus(database, meanwhile, 'delivered')
  expect(posts()).toEqual([['/seven', '{}', true]])
  await program.ask('commit')
  await untilStatus(database, kept, 'delivered')

  const dying = psql()
  await dying.ask('begin')
  await dying.ask(enqueueing('died', '{"order": 4}'))
  await dying.kill()
  const last = await program.ask(enqueueing('last', '{"order": 5}'))
  await untilStatus(database, last, 'delivered')

  expect(posts()).toEqual([
    ['/seven', '{}', true],
    ['/out', '{"order":  2, "text": "שלום"}', true],
    ['/seven', '{"order": 5}', true],
  ])
  expect(await program.ask('select count(*) from callbox.webhook_outbox')).toBe('3')
})

test('a repeated one returns the same id and sends nothing more, before and after its delivery', async () => {
  const program = psql()
  const id = await program.ask(enqueueing('again', '{"n": 1}'))
  expect(await program.ask(enqueueing('again', '{"n": 2}'))).toBe(id)
  runDispatcher(database.url)
  await untilStatus(database, id, 'delivered')
  expect(await psql().ask(enqueueing('again', '{"n": 3}'))).toBe(id)
  const later = await program.ask(enqueueing('later', '{}'))
  await untilStatus(database, later, 'delivered')
  expect(receiver.posts.filter((post) => post.webhookId === id).map((post) => post.body.toString())).toEqual([
    '{"n": 1}',
  ])
  expect(await deliveryOf(database, id)).toMatchObject({ status: 'delivered', attempt_count: 1 })
})

test('with no session for hints, polling alone delivers', async () => {
  const nowhere = new URL(database.url)
  nowhere.port = '1'
  runDispatcher(database.url, { DATABASE_DIRECT_URL: nowhere.href })
  const program = psql()
  for (const callSid of ['poll-1', 'poll-2']) {
    await untilStatus(database, await program.ask(enqueueing(callSid, '{}')), 'delivered')
  }
})

test('a hint is followed, and one that makes no sense does no harm', async () => {
  runDispatcher(database.url)
  const program = psql()
  for (const payload of [
    '7:inbound',
    '',
    ',,',
    '99999999999999999999999:inbound',
    '9999999999999999999:x',
    '-1',
    "7:inb'",
  ]) {
    await database.pool.query('select pg_notify($1, $2)', ['callbox_outbox', payload])
  }
  const id = await program.ask(enqueueing('hinted', '{}'))
  await database.pool.query('select pg_notify($1, $2)', ['callbox_outbox', '7:inbound'])
  await untilStatus(database, id, 'delivered')
})
