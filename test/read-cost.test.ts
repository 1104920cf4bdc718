import { afterAll, describe, expect, test } from 'vitest'
import type { DueRow } from '../src/dispatcher/intake.ts'
import { readDueOfBusinesses, readDueOfSlots } from '../src/dispatcher/sql/read-due.ts'
import { createTestDatabase } from './helpers/database.ts'

const [routeCount, rowsEach, ofOneRoute, most] = [100, 300, 50, 128]
const database = await createTestDatabase()
const client = await database.pool.connect()
afterAll(() => client.release())
await client.query('alter table webhook_outbox set (autovacuum_enabled = off)')
await client.query(
  `insert into routes (business_id, direction) select n, 'inbound' from generate_series(1, $1::integer) n`,
  [routeCount],
)
await client.query(
  `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, slot, due_at)
   select business, gen_random_uuid(), 'CA' || n, 'call.completed', 'inbound', business % 64, now() - n * interval '1 ms'
   from generate_series(1, $1::integer) business, generate_series(1, $2::integer) n`,
  [routeCount, rowsEach],
)

async function deliveriesRead(): Promise<number> {
  await client.query('select pg_stat_force_next_flush()')
  const { rows } = await client.query<{ n: number }>(
    `select (seq_tup_read + idx_tup_fetch)::integer as n from pg_stat_user_tables where relname = 'webhook_outbox'`,
  )
  return rows[0]?.n ?? 0
}

const allSlots = Array.from({ length: 64 }, (_, slot) => slot)
const allBusinesses = Array.from({ length: routeCount }, (_, index) => index + 1)
const statements = [
  { what: 'a sweep', text: readDueOfSlots, scope: 0 },
  { what: 'a read by name', text: readDueOfBusinesses, scope: allBusinesses },
]

const circumstances = [
  { given: 'no statistics', statement: 'set plan_cache_mode = force_custom_plan' },
  { given: 'no statistics and a plan for any parameters', statement: 'set plan_cache_mode = force_generic_plan' },
  { given: 'statistics and a plan for any parameters', statement: 'analyze webhook_outbox, routes' },
  { given: 'statistics', statement: 'set plan_cache_mode = force_custom_plan' },
]

describe.each(circumstances)('with $given', ({ statement }) => {
  test.each(statements)('$what of many backlogs reads what it brings, in order', async ({ what, text, scope }) => {
    await client.query(statement)
    const before = await deliveriesRead()
    const values = [allSlots, ofOneRoute, '{}', most, scope, 0, '{}']
    const { rows } = await client.query<DueRow>({ name: what, text, values })
    expect((await deliveriesRead()) - before).toBeLessThan(2 * most)
    expect(rows).toHaveLength(most)
    const times = rows.map(({ business_id, due_text }) => `${business_id} ${due_text}`)
    expect(times).toEqual([...times].sort())
  })
})

test('of a route whose breaker is open one delivery is read, its probe', async () => {
  await client.query(`update routes set state = 'failing', probe_at = now() where business_id = 1`)
  const { rows } = await client.query<DueRow>(readDueOfSlots, [allSlots, ofOneRoute, '{}', most, 0, 0, '{}'])
  const counts = [1, 2].map((business) => rows.filter((row) => row.business_id === String(business)).length)
  expect(counts).toEqual([1, ofOneRoute])
})
