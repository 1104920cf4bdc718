import { expect, test } from 'vitest'
import { callWorkMetrics } from '../src/admin/call-work-metrics.ts'
import { RecordingQueue } from '../src/calls/recording-queue.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { createTestDatabase } from './helpers/database.ts'
import { metricValues } from './helpers/metric-values.ts'

test('calls that are not completed are told by state, the recording queue by what is due, later and active', async () => {
  const { url, knex, pool } = await createTestDatabase()
  const metrics = createMetrics()
  callWorkMetrics(knex, metrics)
  const told = async () => {
    const values = await metricValues(metrics)
    const of = (name: string) => (state: string) => values[`${name}{state="${state}"}`]
    return {
      calls: ['open', 'queued', 'processing', 'failed', 'completed'].map(of('callbox_calls')),
      jobs: ['due', 'later', 'active'].map(of('callbox_recording_queue_jobs')),
      oldest: values['callbox_recording_queue_oldest_due_seconds'],
    }
  }
  expect(await told()).toEqual({ calls: [0, 0, 0, 0, undefined], jobs: [0, 0, 0], oldest: 0 })

  await pool.query(
    `insert into calls (business_id, call_sid, state, created_at)
     select 1, 'CA' || n, state, now() - age
     from (values
       (1, 'open', interval '1 minute'), (2, 'open', '2 days'),
       (3, 'queued', '9 days'), (4, 'processing', '9 days'), (5, 'failed', '9 days'), (6, 'failed', '1 minute'),
       (7, 'completed', '1 minute')) as c (n, state, age)`,
  )
  const queue = new RecordingQueue(url, defaultSchema, createLogger('silent', 'test'))
  await queue.start()
  await knex.transaction(async (trx) => {
    for (const call of ['CA1', 'CA2', 'CA3', 'CA4', 'CA5']) await queue.send(trx, { businessId: '1', callSid: call })
  })
  await queue.stop()
  const change = (set: string, call: string) =>
    pool.query(`update callbox_jobs.job set ${set} where singleton_key = $1`, [call])
  await change(`start_after = now() + interval '1 hour'`, 'CA1')
  await change(`start_after = now() - interval '2 hours', state = 'active'`, 'CA2')
  await change(`start_after = now() - interval '1 hour', state = 'retry'`, 'CA3')
  await change(`start_after = now() - interval '3 hours', state = 'completed'`, 'CA4')

  const busy = await told()
  expect(busy.calls).toEqual([1, 1, 1, 2, undefined])
  expect(busy.jobs).toEqual([2, 1, 1])
  expect(busy.oldest).toBeGreaterThanOrEqual(3_600)
  expect(busy.oldest).toBeLessThan(7_200)
})
