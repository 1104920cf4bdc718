import { afterAll, expect, test } from 'vitest'
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

for (const statistics of ['none', 'fresh']) {
  test.each(statements)(
    `$what of many backlogs reads what it brings, in order; statistics: ${statistics}`,
    async (read) => {
      if (statistics === 'fresh') await client.query('analyze webhook_outbox, routes')
      const before = await deliveriesRead()
      const { rows } = await client.query<DueRow>(read.text, [allSlots, ofOneRoute, '{}', most, read.scope, 0, '{}'])
      expect((await deliveriesRead()) - before).toBeLessThan(2 * most)
      expect(rows).toHaveLength(most)
      const times = rows.map(({ business_id, due_text }) => `${business_id} ${due_text}`)
      expect(times).toEqual([...times].sort())
    },
  )
}
