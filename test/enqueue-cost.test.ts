import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { createTestDatabase } from './helpers/database.ts'

const rowCount = 20_000

/** One connection, whose plans are examined, to an outbox whose statistics are never refreshed. */
async function startProducer() {
  const database = await createTestDatabase()
  const pool = new pg.Pool({ connectionString: database.url, max: 1 })
  // The database may be dropped before the server has noticed that this connection is closed.
  pool.on('connect', (client) => client.on('error', () => undefined))
  pool.on('error', () => undefined)
  onTestFinished(() => pool.end())
  for (const table of ['webhook_outbox', 'webhook_due']) {
    await pool.query(`alter table callbox.${table} set (autovacuum_enabled = off)`)
    await pool.query(`vacuum analyze callbox.${table}`)
  }
  const enqueue = async (callSid: string, eventType: string): Promise<string> => {
    const { rows } = await pool.query<{ id: string }>({
      name: 'enqueue',
      text: `select callbox.callbox_enqueue(1, $1, $2, 'inbound', '{}'::json) as id`,
      values: [callSid, eventType],
    })
    return rows[0]?.id ?? ''
  }
  const fill = () =>
    pool.query(
      `with event as (
         insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, payload)
         select 1, gen_random_uuid(), 'CA' || n, 'call.ended', 'inbound', '{}' from generate_series(1, $1::integer) n
         returning business_id, id
       )
       insert into callbox.webhook_due (business_id, id, direction, bytes) select business_id, id, 'inbound', 2 from event`,
      [rowCount],
    )
  const rowsRead = async (): Promise<number> => {
    await pool.query('select pg_stat_force_next_flush()')
    const { rows } = await pool.query<{ n: number }>(
      `select sum(t.seq_tup_read + i.idx_tup_read)::integer as n
       from pg_stat_user_tables t
       join (select relid, sum(idx_tup_read) as idx_tup_read from pg_stat_user_indexes group by relid) i using (relid)
       where t.relname in ('webhook_outbox', 'webhook_due')`,
    )
    return rows[0]?.n ?? 0
  }
  return { pool, enqueue, fill, rowsRead }
}

test('a producer that began with an empty outbox finds the previous event of a call without reading the others', async () => {
  const { pool, enqueue, fill, rowsRead } = await startProducer()
  // PostgreSQL plans the first five for their values, and keeps a plan for any values after that.
  for (let n = 0; n < 10; n += 1) await enqueue(`CA-first-${n}`, 'call.ended')
  await fill()
  const before = await rowsRead()
  const ended = await enqueue('CA-one', 'call.ended')
  const completed = await enqueue('CA-one', 'call.completed')
  expect((await rowsRead()) - before).toBeLessThan(100)
  const { rows } = await pool.query('select after from callbox.webhook_due where business_id = 1 and id = $1', [
    completed,
  ])
  expect(rows).toEqual([{ after: ended }])
})

test('a producer of an outbox in which nearly all events share a call reads few of them for another call', async () => {
  const { pool, enqueue, fill, rowsRead } = await startProducer()
  await fill()
  await pool.query(`update callbox.webhook_outbox set call_sid = 'orders'`)
  await pool.query('analyze callbox.webhook_outbox, callbox.webhook_due')
  for (let n = 0; n < 10; n += 1) await enqueue(`CA-first-${n}`, 'call.ended')
  const before = await rowsRead()
  await enqueue('CA-one', 'call.ended')
  await enqueue('CA-one', 'call.completed')
  await enqueue('orders', 'call.completed')
  expect((await rowsRead()) - before).toBeLessThan(100)
})
