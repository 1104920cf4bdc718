import { beforeAll, expect, test } from 'vitest'
import { RecordingQueue } from '../src/calls/recording-queue.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

test('a job is there when its transaction commits, and not when it rolls back', async () => {
  const queue = new RecordingQueue(database.url, defaultSchema, createLogger('silent', 'test'))
  await queue.start()
  await database.knex.transaction((trx) => queue.send(trx, { businessId: '10', callSid: 'CA1' }))
  await expect(
    database.knex.transaction(async (trx) => {
      await queue.send(trx, { businessId: '10', callSid: 'CA2' })
      throw new Error('rolled back')
    }),
  ).rejects.toThrow('rolled back')
  await queue.stop()
  const { rows } = await database.pool.query(
    'select data, singleton_key, policy, retry_limit, heartbeat_seconds, state from callbox_jobs.job order by created_on',
  )
  expect(rows).toEqual([
    {
      data: { businessId: '10', callSid: 'CA1' },
      singleton_key: 'CA1',
      policy: 'singleton',
      retry_limit: 1_000_000,
      heartbeat_seconds: 10,
      state: 'created',
    },
  ])
})
