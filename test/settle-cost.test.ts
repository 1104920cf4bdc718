import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { type Acknowledgement, Settler } from '../src/dispatcher/settling/settler.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createTestDatabase } from './helpers/database.ts'
import { dueDelivery } from './helpers/due-delivery.ts'
import { eventually } from './helpers/eventually.ts'

const rowCount = 20_000

/** An outbox of its own, and a settler with one connection, whose plans and statistics are looked at. */
async function startSettler() {
  const database = await createTestDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: 1 })
  // The database may be dropped before the server has noticed that this connection is closed.
  pool.on('connect', (client) => client.on('error', () => undefined))
  pool.on('error', () => undefined)
  onTestFinished(() => pool.end())
  await pool.query('alter table callbox.webhook_due set (autovacuum_enabled = off)')
  let settled = 0
  const count = ({ settlements }: Acknowledgement): void => {
    settled += settlements.length
  }
  const settler = new Settler(pool, count, createLogger('silent', 'dispatcher'))
  const settleAll = async (ids: string[]): Promise<void> => {
    const expected = settled + ids.length
    for (const id of ids) {
      const delivery = dueDelivery({ id })
      settler.add({ delivery, attempt: null, outcome: { status: 'skipped', reason: 'a test' } })
    }
    await eventually('they are settled', () => settled === expected)
  }
  const settle = (id: string): Promise<void> => settleAll([id])
  const fill = async (): Promise<string[]> => {
    const { rows } = await pool.query<{ id: string }>(
      `insert into callbox.webhook_due (business_id, id, direction, bytes)
       select 1, gen_random_uuid(), 'inbound', 2 from generate_series(1, $1::integer) n
       returning id`,
      [rowCount],
    )
    return rows.map(({ id }) => id)
  }
  const rowsRead = async (): Promise<number> => {
    await pool.query('select pg_stat_force_next_flush()')
    const { rows } = await pool.query<{ n: number }>(
      `select (seq_tup_read + idx_tup_fetch)::integer as n from pg_stat_user_tables where relname = 'webhook_due'`,
    )
    return rows[0]?.n ?? 0
  }
  return { pool, settle, settleAll, fill, rowsRead }
}

test('a settler that began with an empty table does not read all of it once it has grown', async () => {
  const { settle, fill, rowsRead } = await startSettler()
  for (let n = 0; n < 10; n += 1) await settle(randomUUID())
  const [id = ''] = await fill()
  const before = await rowsRead()
  await settle(id)
  expect((await rowsRead()) - before).toBeLessThan(100)
})

test('a settler that has settled many reads the key alone as the table grows', async () => {
  const { settleAll, settle, fill, rowsRead } = await startSettler()
  await settleAll(await fill())
  const ids = await fill()
  // PostgreSQL plans the first five for their values, and keeps a plan for any values after that.
  for (const id of ids.slice(0, 10)) await settle(id)
  await fill()
  const before = await rowsRead()
  await settle(ids[10] ?? '')
  expect((await rowsRead()) - before).toBeLessThan(100)
})

test('a settle does not read all that is pending where statistics say that nothing is', async () => {
  const { pool, settle, settleAll, fill, rowsRead } = await startSettler()
  await settleAll(await fill())
  await pool.query('vacuum analyze callbox.webhook_due')
  const [id = ''] = await fill()
  const before = await rowsRead()
  await settle(id)
  expect((await rowsRead()) - before).toBeLessThan(100)
})
