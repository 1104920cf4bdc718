import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { joinFleet } from '../src/dispatcher/lease/membership.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValues } from './helpers/metric-values.ts'
import { enqueue, untilStatus } from './helpers/outbox.ts'

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

beforeEach(async () => {
  await emptyTables(database, 'dispatchers')
  await database.pool.query('update slots set owner = null')
})

test('retries are counted by the step that is waited; neither the first attempt nor the last is one', async () => {
  const secret = await putBusiness(database, '1', { outbound: `${receiver.url}/1` })
  receiver.endpoint('/1', secret)
  const failing = { status: 500 }
  receiver.answers.queue('/1', failing, failing)
  const { metrics } = runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '20ms,20ms' })
  await untilStatus(database, await enqueue(database, '1', 'CA1', 'outbound'), 'delivered')
  receiver.answers.queue('/1', failing, failing, failing)
  await untilStatus(database, await enqueue(database, '1', 'CA2', 'outbound'), 'failed')
  const labels = (step: number) => `{direction="outbound",event_type="call.completed",step="${step}"}`
  await eventually('both steps are counted', async () => {
    const told = await metricValues(metrics)
    const retries = Object.entries(told).filter(([series]) => series.startsWith('callbox_webhook_retries_total'))
    const expected = [1, 2].map((step) => [`callbox_webhook_retries_total${labels(step)}`, 2])
    return JSON.stringify(retries) === JSON.stringify(expected)
  })
})

test('openings of breakers and their probes are counted; a probe uses no step of the schedule', async () => {
  const secret = await putBusiness(database, '2', { inbound: `${receiver.url}/2`, maxConcurrency: 1 })
  receiver.endpoint('/2', secret)
  receiver.answers.queue('/2', ...Array.from({ length: 6 }, () => ({ status: 500 })))
  const { metrics } = runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  const before = await metricValues(metrics)
  expect(before['callbox_breaker_openings_total{direction="inbound"}']).toBe(0)
  for (let call = 0; call < 7; call += 1) await enqueue(database, '2', `CA${call}`)
  await eventually('the second probe closes the breaker', async () => {
    const told = await metricValues(metrics)
    return told['callbox_breaker_probes_total{direction="inbound",result="ok"}'] === 1
  })
  const told = await metricValues(metrics)
  expect(told['callbox_breaker_openings_total{direction="inbound"}']).toBe(1)
  expect(told['callbox_breaker_openings_total{direction="outbound"}']).toBe(0)
  expect(told['callbox_breaker_probes_total{direction="inbound",result="failed"}']).toBe(1)
  expect(told['callbox_webhook_retries_total{direction="inbound",event_type="call.completed",step="1"}']).toBe(5)
})

test('slots of a dispatcher that died are counted as taken over, free ones are not', async () => {
  const dead = randomUUID()
  await database.pool.query(joinFleet, [dead, 'dead'])
  await database.pool.query('update slots set owner = $1 where slot < 20', [dead])
  const { metrics } = runDispatcher(database.url)
  await eventually('all slots are owned', async () => (await metricValues(metrics))['callbox_dispatcher_slots'] === 64)
  expect((await metricValues(metrics))['callbox_dispatcher_takeovers_total']).toBe(20)
})

test('a process that is no dispatcher tells no slots; one that has none yet tells 0', async () => {
  expect(await metricValues(createMetrics())).not.toHaveProperty('callbox_dispatcher_slots')
  const { metrics } = runDispatcher(database.url)
  expect(await metricValues(metrics)).toHaveProperty('callbox_dispatcher_slots', 0)
})

test('after a hundred event types of other programs the label is `other`; those of Callbox keep theirs', async () => {
  await putBusiness(database, '3', {})
  const enqueueTypes = (from: number, to: number) =>
    database.pool.query(
      `select callbox_enqueue(3, 'CA' || n, 'order.number' || n, 'inbound', '{}') from generate_series($1::int, $2::int) n`,
      [from, to],
    )
  const ended = async () => {
    const { rows } = await database.pool.query(
      `select count(*)::integer as n from webhook_deliveries where business_id = 3 and status = 'skipped'`,
    )
    return rows[0].n as number
  }
  const { metrics } = runDispatcher(database.url)
  await enqueueTypes(1, 100)
  await eventually('the first hundred have ended', async () => (await ended()) === 100)
  await enqueueTypes(101, 1_000)
  await eventually('all have ended', async () => (await ended()) === 1_000)
  await untilStatus(database, await enqueue(database, '3', 'CA1', 'inbound'), 'skipped')
  const series = (type: string) =>
    `callbox_webhook_deliveries_total{direction="inbound",event_type="${type}",outcome="skipped"}`
  await eventually('all are counted', async () => (await metricValues(metrics))[series('call.completed')] === 1)
  const told = await metricValues(metrics)
  const labels = Object.keys(told).filter((name) => name.includes('outcome="skipped"'))
  expect(labels).toHaveLength(102)
  expect(told[series('order.number1')]).toBe(1)
  expect(told[series('order.number100')]).toBe(1)
  expect(told[series('other')]).toBe(900)
})
