import { beforeAll, expect, test } from 'vitest'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { enqueue, setDeliveries } from './helpers/outbox.ts'
import { changeRoute } from './helpers/routes.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

const enqueueEvent = async (business: string, call: string, type: string): Promise<string> => {
  const sql = `select callbox_enqueue($1, $2, $3, 'inbound', '{}') as id`
  return (await database.pool.query(sql, [business, call, type])).rows[0].id
}
const attempt = (business: string, id: string, number: number, result: string, status: number | null) =>
  database.pool.query(
    `insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code)
     values ($1, $2, gen_random_uuid(), $3, now(), 5, 'http://127.0.0.1/', $4, $5)`,
    [business, id, number, result, status],
  )
/** The reason in the list, which is the one of the delivery alone. */
const reasonOf = async (id: string): Promise<string | null> => {
  const { items } = (await api.send('GET', '/admin/deliveries?status=pending&limit=200')).json
  const listed = items.find((one: { id: string }) => one.id === id)?.reason
  expect((await api.send('GET', `/admin/deliveries/${id}`)).json.reason).toBe(listed)
  return listed
}

test('waiting: its turn comes', async () => {
  expect(await reasonOf(await enqueue(database, '1', 'CA1'))).toBe('waiting')
})

test('retrying: its wait is not over', async () => {
  const id = await enqueue(database, '2', 'CA1')
  await setDeliveries(database, 'id = $1', [id], { due_at: `now() + interval '1 minute'`, attempt_count: 1, step: 1 })
  expect(await reasonOf(id)).toBe('retrying')
  await setDeliveries(database, 'id = $1', [id], { due_at: `now() - interval '1 second'` })
  expect(await reasonOf(id)).toBe('waiting')
})

test('held_by_breaker, parked and rate_limited: by the state of its own route alone', async () => {
  const [inbound, outbound] = [await enqueue(database, '3', 'CA1'), await enqueue(database, '3', 'CA2', 'outbound')]
  for (const [change, reason] of [
    [`state = 'failing', state_reason = 'HTTP 500', probe_at = now() + interval '1 minute'`, 'held_by_breaker'],
    [`state = 'parked', state_reason = 'gone'`, 'parked'],
    [`state = 'active', state_reason = null, held_until = now() + interval '1 minute'`, 'rate_limited'],
    [`held_until = now() - interval '1 second'`, 'waiting'],
  ] as const) {
    await changeRoute(database, '3', change)
    expect([change, await reasonOf(inbound)]).toEqual([change, reason])
    expect(await reasonOf(outbound)).toBe('waiting')
  }
})

test('after: an earlier event of its call on its route is pending, for ten minutes once that has been tried', async () => {
  const first = await enqueueEvent('4', 'CA1', 'call.ended')
  const second = await enqueueEvent('4', 'CA1', 'call.completed')
  expect([await reasonOf(first), await reasonOf(second)]).toEqual(['waiting', 'after'])
  await setDeliveries(database, 'id = $1', [second], { due_at: `now() - interval '10 minutes 1 second'` })
  expect(await reasonOf(second)).toBe('after')
  await setDeliveries(database, 'id = $1', [first], { attempt_count: 1 })
  expect(await reasonOf(second)).toBe('waiting')
  await setDeliveries(database, 'id = $1', [second], { due_at: `now() - interval '9 minutes 50 seconds'` })
  expect(await reasonOf(second)).toBe('after')
  await setDeliveries(database, 'id = $1', [second], { attempt_count: 1 })
  expect(await reasonOf(second)).toBe('waiting')
  await setDeliveries(database, 'id = $1', [second], { attempt_count: 0 })
  await setDeliveries(database, 'id = $1', [first], { status: 'delivered' })
  expect(await reasonOf(second)).toBe('waiting')
})

test('what has ended keeps its own reason, whatever its route does', async () => {
  const id = await enqueue(database, '5', 'CA1')
  await setDeliveries(database, 'id = $1', [id], { status: 'failed', reason: 'HTTP 500 after 8 attempts' })
  await changeRoute(database, '5', `state = 'parked', state_reason = 'gone'`)
  const read = async () => (await api.send('GET', `/admin/deliveries/${id}`)).json
  expect(await read()).toMatchObject({ status: 'failed', reason: 'HTTP 500 after 8 attempts' })
  await setDeliveries(database, 'id = $1', [id], { status: 'delivered' })
  expect(await read()).toMatchObject({ status: 'delivered', reason: null })
})

test('last_status_code is that of the last attempt that was answered', async () => {
  const id = await enqueue(database, '6', 'CA1')
  const told = async () => {
    const { items } = (await api.send('GET', '/admin/deliveries?business_id=6')).json
    return items[0].last_status_code
  }
  expect(await told()).toBeNull()
  await attempt('6', id, 1, 'timeout', null)
  expect(await told()).toBeNull()
  await attempt('6', id, 2, 'http_error', 503)
  await attempt('6', id, 3, 'http_error', 429)
  expect(await told()).toBe(429)
  await attempt('6', id, 4, 'connect', null)
  expect(await told()).toBe(429)
})
