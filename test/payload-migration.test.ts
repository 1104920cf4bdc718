import { expect, onTestFinished, test } from 'vitest'
import { migrationsDirectory, migrationsTable } from '../src/database/schema-version.ts'
import { startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { enqueue, untilStatus } from './helpers/outbox.ts'

const migration = {
  ...{ directory: migrationsDirectory, tableName: migrationsTable, loadExtensions: ['.ts'] },
  name: '010_payloads_apart.ts',
}

test('payloads keep their bytes on their way to a table of their own, and back', async () => {
  const database = await createTestDatabase()
  const receiver = await startReceiver()
  onTestFinished(() => receiver.close())
  receiver.endpoint('/', await putBusiness(database, '1', { inbound: `${receiver.url}/` }))
  const bytes = '{"a": 1.50,\n "a":"שלום"}'

  await database.knex.migrate.down(migration)
  const early = await enqueue(database, '1', 'CAearly', 'inbound', bytes)
  const emptied = await enqueue(database, '1', 'CAemptied', 'inbound', bytes)
  await database.pool.query(
    `update webhook_outbox set status = 'delivered', finished_at = now(), payload = null where id = $1`,
    [emptied],
  )
  await database.knex.migrate.up(migration)
  const late = await enqueue(database, '1', 'CAlate', 'inbound', bytes)
  expect(await enqueue(database, '1', 'CAearly', 'inbound', '{}')).toBe(early)

  const stored =
    'select id, has_payload, payload::text from webhook_outbox left join webhook_payloads on delivery_id = id'
  expect(new Set((await database.pool.query(stored)).rows)).toEqual(
    new Set([
      { id: early, has_payload: true, payload: bytes },
      { id: late, has_payload: true, payload: bytes },
      { id: emptied, has_payload: false, payload: null },
    ]),
  )
  const dispatcher = runDispatcher(database.url)
  for (const id of [early, late]) await untilStatus(database, id, 'delivered')
  expect(receiver.posts.map(({ body }) => body.toString())).toEqual([bytes, bytes])

  await dispatcher.stop()
  await database.knex.migrate.down(migration)
  const back = await database.pool.query('select id, payload::text from webhook_outbox where payload is not null')
  expect(new Set(back.rows)).toEqual(new Set([early, late].map((id) => ({ id, payload: bytes }))))
})
