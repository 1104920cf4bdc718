import { afterAll, describe, expect, test } from 'vitest'
import { parseDueRow, readDueOfBusinesses, readDueOfSlots } from '../src/dispatcher/reading/read-due.ts'
import { createTestDatabase } from './helpers/database.ts'

const [routeCount, rowsEach, ofOneRoute, most] = [100, 300, 50, 128]
const database = await createTestDatabase()
const client = await database.pool.connect()
afterAll(() => client.release())
for (const table of ['webhook_outbox', 'webhook_due']) {
  await client.query(`alter table ${table} set (autovacuum_enabled = off)`)
}
await client.query(
  `insert into routes (business_id, direction) select n, 'inbound' from generate_series(1, $1::integer) n`,
  [routeCount],
)
await client.query(
  `with event as (
     insert into webhook_outbox (business_id, id, call_sid, event_type, direction, payload)
     select business, gen_random_uuid(), n::text, 'call.completed', 'inbound', '{}'
     from generate_series(1, $1::integer) business, generate_series(1, $2::integer) n
     returning business_id, id, call_sid
   )
   insert into webhook_due (business_id, id, direction, bytes, due_at)
   select business_id, id, 'inbound', 2, now() - call_sid::integer * interval '1 ms' from event`,
  [routeCount, rowsEach],
)

interface RawRow {
  fields: string
  payload: object | null
}
const parsed = ({ fields, payload }: RawRow) => parseDueRow(fields, payload === null ? null : Buffer.from('{}'))

async function deliveriesRead(): Promise<number> {
  await client.query('select pg_stat_force_next_flush()')
  const { rows } = await client.query<{ n: number }>(
    `select sum(seq_tup_read + idx_tup_fetch)::integer as n from pg_stat_user_tables
     where relname in ('webhook_outbox', 'webhook_due')`,
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
  { given: 'statistics and a plan for any parameters', statement: 'analyze webhook_outbox, webhook_due, routes' },
  { given: 'statistics', statement: 'set plan_cache_mode = force_custom_plan' },
]

describe.each(circumstances)('with $given', ({ statement }) => {
  test.each(statements)('$what of many backlogs reads what it brings, in order', async ({ what, text, scope }) => {
    await client.query(statement)
    const before = await deliveriesRead()
    const values = [allSlots, ofOneRoute, '{}', most, scope, 0, '{}', 1_000_000]
    const rows = (await client.query<RawRow>({ name: what, text, values })).rows.map(parsed)
    // A due row and its event each.
    expect((await deliveriesRead()) - before).toBeLessThan(2 * 2 * most)
    expect(rows).toHaveLength(most)
    const times = rows.map(({ businessId, dueUs }) => `${businessId.padStart(3, '0')} ${dueUs}`)
    expect(times).toEqual([...times].sort())
    expect(rows.every(({ payload }) => payload !== null)).toBe(true)
  })
})

test('a read ends with its bytes, and brings one payload whatever its size', async () => {
  for (const [bytes, count] of [
    [1, 1],
    [2, 1],
    [3, 2],
    [20, 10],
  ]) {
    const { rows } = await client.query(readDueOfSlots, [allSlots, ofOneRoute, '{}', most, 0, 0, '{}', bytes])
    expect(rows).toHaveLength(count ?? 0)
  }
})

test('a route with an open breaker brings one delivery, its probe', async () => {
  await client.query(`update routes set state = 'failing', probe_at = now() where business_id = 1`)
  const answer = await client.query<RawRow>(readDueOfSlots, [allSlots, ofOneRoute, '{}', most, 0, 0, '{}', 1_000_000])
  const rows = answer.rows.map(parsed)
  const counts = [1, 2].map((business) => rows.filter((row) => row.businessId === String(business)).length)
  expect(counts).toEqual([1, ofOneRoute])
})
