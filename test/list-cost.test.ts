import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKnex } from '../src/database/knex.ts'
import { type DeliveryFilter, listDeliveries } from '../src/outbox/deliveries.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

const [all, pending, dead] = [200_000, 60_000, 60_000]
/** A page looks through 10,000 rows, with a look-up or two for each; some lists count up to 5,000 first. */
const maxRead = 50_000

let database: TestDatabase
/** One session that reports its own statistics on request. */
let knex: ReturnType<typeof createKnex>
beforeAll(async () => {
  database = await createTestDatabase()
  knex = createKnex(database.url, 'callbox', 'callbox test', 1)
  const { pool } = database
  for (const table of ['webhook_outbox', 'webhook_due', 'webhook_dead_letters', 'webhook_attempts']) {
    await pool.query(`alter table ${table} set (autovacuum_enabled = off)`)
  }
  // Business 1 has most, business 2 what is pending, the newest; business 3 what is dead, the oldest.
  await pool.query(
    `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, created_at)
     select case when n <= $2 then 3 when n > $1::integer - $3 then 2 else 1 end, gen_random_uuid(), 'CA' || n,
            'call.completed', case when n % 2 = 0 then 'inbound' else 'outbound' end,
            timestamptz '2025-01-01T00:00:00Z' + n * interval '1 second'
     from generate_series(1, $1::integer) n`,
    [all, dead, pending],
  )
  await pool.query(
    `insert into webhook_due (business_id, id, direction, bytes)
     select business_id, id, direction, 2 from webhook_outbox where business_id = 2`,
  )
  await pool.query(
    `insert into webhook_dead_letters (business_id, id, status, direction, created_at)
     select business_id, id, case when call_sid like '%77' then 'skipped' else 'failed' end, direction, created_at
     from webhook_outbox where business_id = 3`,
  )
  await pool.query(
    `insert into routes (business_id, direction) select b, d from generate_series(1, 3) b, unnest(array['inbound', 'outbound']) d`,
  )
  await pool.query('analyze')
}, 120_000)
afterAll(() => knex.destroy())

async function rowsRead(): Promise<number> {
  await knex.raw('select pg_stat_force_next_flush()')
  const { rows } = await knex.raw<{ rows: { n: number }[] }>(
    `select (
       (select sum(seq_tup_read) from pg_stat_user_tables where relname like 'webhook%')
       + (select sum(idx_tup_read) from pg_stat_user_indexes where relname like 'webhook%'))::integer as n`,
  )
  return rows[0]?.n ?? 0
}

const filters: { filter: DeliveryFilter; rows: number }[] = [
  { filter: {}, rows: 50 },
  { filter: { status: 'pending' }, rows: 50 },
  { filter: { status: 'failed' }, rows: 50 },
  { filter: { status: 'skipped' }, rows: 50 },
  // The newest 60,000 are pending: the page says where to look on.
  { filter: { status: 'delivered' }, rows: 0 },
  { filter: { status: 'delivered', until: '2025-01-02T10:00:00Z' }, rows: 50 },
  { filter: { business_id: '2' }, rows: 50 },
  { filter: { business_id: '3' }, rows: 0 },
  { filter: { business_id: '4' }, rows: 0 },
  { filter: { business_id: '3', status: 'failed' }, rows: 50 },
  { filter: { business_id: '2', status: 'failed' }, rows: 0 },
  { filter: { business_id: '3', status: 'pending' }, rows: 0 },
  { filter: { business_id: '2', status: 'pending', direction: 'outbound' }, rows: 50 },
  { filter: { direction: 'inbound' }, rows: 50 },
  { filter: { status: 'failed', direction: 'inbound' }, rows: 50 },
  { filter: { event_type: 'call.rare' }, rows: 0 },
  { filter: { status: 'failed', event_type: 'call.rare' }, rows: 0 },
  { filter: { call_sid: 'CA7' }, rows: 1 },
  { filter: { call_sid: 'CA7', status: 'failed', business_id: '3' }, rows: 1 },
  { filter: { since: '2025-01-01T01:00:00Z', until: '2025-01-01T02:00:00Z' }, rows: 50 },
  { filter: { status: 'failed', since: '2025-01-01T01:00:00Z', until: '2025-01-01T02:00:00Z' }, rows: 50 },
]

describe('a list of 50', () => {
  test.each(filters)('$filter reads bounded rows', async ({ filter, rows: expected }) => {
    const before = await rowsRead()
    const { rows, next } = await listDeliveries(knex, filter, 50, undefined)
    expect(rows).toHaveLength(expected)
    expect((await rowsRead()) - before).toBeLessThan(maxRead)
    // The next page costs no more.
    if (next === null) return
    const between = await rowsRead()
    await listDeliveries(knex, filter, 50, next)
    expect((await rowsRead()) - between).toBeLessThan(maxRead)
  })
})
