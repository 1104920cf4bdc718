import pg from 'pg'
import { expect, inject, test } from 'vitest'
import { fleetMetrics } from '../src/admin/fleet-metrics.ts'
import { LivingDispatchers } from '../src/admin/living-dispatchers.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { createTestDatabase } from './helpers/database.ts'
import { type DeliveryState, setDeliveries } from './helpers/outbox.ts'

test('the gauges of the fleet are read by each scrape; without the database the rest is still told', async () => {
  const { url, knex, pool } = await createTestDatabase()
  const metrics = createMetrics()
  fleetMetrics(knex, metrics)
  const scrape = async () => {
    const lines = (await metrics.registry.metrics()).split('\n')
    return (name: string) => lines.filter((line) => line.startsWith(name)).map((line) => line.split(' ').at(-1))
  }

  const routes = async () => {
    const told = await scrape()
    return ['active', 'failing', 'parked'].map((state) => told(`callbox_routes{state="${state}"}`))
  }

  const quiet = await scrape()
  expect(await routes()).toEqual([['0'], ['0'], ['0']])
  for (const name of ['callbox_outbox_due', 'callbox_outbox_oldest_due_seconds', 'callbox_callbacks_unmatched']) {
    expect([name, quiet(name)]).toEqual([name, ['0']])
  }

  for (const [business, call] of [
    [1, 'CA1'],
    [1, 'CA2'],
    [2, 'CA1'],
    [2, 'CA2'],
  ]) {
    await pool.query(`select callbox_enqueue($1, $2, 'call.completed', 'inbound', '{}')`, [business, call])
  }
  const change = (business: number, call: string, state: DeliveryState) =>
    setDeliveries({ pool }, 'business_id = $1 and call_sid = $2', [business, call], state)
  await change(2, 'CA1', { due_at: `now() - interval '1 hour'` })
  await change(1, 'CA1', { due_at: `now() + interval '1 hour'` })
  await change(1, 'CA2', { status: 'delivered' })
  await pool.query(`insert into dispatchers (id) values (gen_random_uuid()), (gen_random_uuid())`)
  await pool.query(`insert into twilio_callbacks (kind, call_sid, query, body, state) values
                    ('call_status', 'CA1', '', '', 'unmatched'), ('call_status', 'CA1', '', '', 'matched')`)
  await pool.query(`insert into requeues (operator, filter, until, total, total_is_exact, state) values
                    ('night', '{}', now(), 1, true, 'running'), ('night', '{}', now(), 1, true, 'stopped')`)
  const busy = await scrape()
  expect(busy('callbox_outbox_due')).toEqual(['2'])
  expect(Number(busy('callbox_outbox_oldest_due_seconds')[0])).toBeGreaterThanOrEqual(3600)
  expect(await routes()).toEqual([['2'], ['0'], ['0']])
  expect(busy('callbox_dispatchers')).toEqual(['2'])
  expect(busy('callbox_callbacks_unmatched')).toEqual(['1'])
  expect(busy('callbox_requeues_running')).toEqual(['1'])
  expect(busy('callbox_routes_due{state="active"}')).toEqual(['2'])
  expect(busy('callbox_routes_due{state="failing"}')).toEqual(['0'])

  const turn = (state: string) => pool.query('update routes set state = $1 where business_id = 2', [state])
  await turn('failing')
  expect(await routes()).toEqual([['1'], ['1'], ['0']])
  const failing = await scrape()
  expect(failing('callbox_outbox_due')).toEqual(['2'])
  expect(failing('callbox_routes_due{state="active"}')).toEqual(['0'])
  expect(failing('callbox_routes_due{state="failing"}')).toEqual(['2'])
  expect(failing('callbox_routes_oldest_due_seconds{state="active"}')).toEqual(['0'])
  expect(Number(failing('callbox_routes_oldest_due_seconds{state="failing"}')[0])).toBeGreaterThanOrEqual(3600)
  await pool.query('update webhook_due set attempt_count = 3 where business_id = 2')
  expect(Number((await scrape())('callbox_outbox_oldest_due_seconds')[0])).toBeGreaterThanOrEqual(3600)
  await turn('parked')
  expect(await routes()).toEqual([['1'], ['0'], ['1']])
  const parked = await scrape()
  expect(parked('callbox_outbox_due')).toEqual(['0'])
  expect(parked('callbox_outbox_oldest_due_seconds')).toEqual(['0'])
  await turn('active')

  const name = new URL(url).pathname.slice(1)
  const server = new pg.Client(inject('serverUrl'))
  await server.connect()
  await server.query(`alter database ${name} allow_connections false`)
  await server.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  const away = await scrape()
  expect(away('callbox_outbox_due ')).toEqual([])
  expect(away('callbox_routes{')).toEqual([])
  expect(away('process_start_time_seconds')).toHaveLength(1)
  await server.query(`alter database ${name} allow_connections true`)
  await server.end()
  // A connection that was lost may be met once more.
  await expect.poll(async () => (await scrape())('callbox_outbox_due')).toEqual(['2'])
})

test('a dispatcher whose beat stands still for 3 s is not counted; one that moves again is', () => {
  let now = 0
  const living = new LivingDispatchers(() => now)
  const a = { id: 'a', beat: '1' }
  expect(living.count([a, { id: 'b', beat: '5' }])).toBe(2)
  now = 2_999
  expect(living.count([a, { id: 'b', beat: '5' }])).toBe(2)
  now = 3_000
  expect(living.count([a, { id: 'b', beat: '6' }])).toBe(1)
  now = 15_000
  expect(living.count([{ id: 'a', beat: '2' }])).toBe(1)
  expect(living.count([])).toBe(0)
})
