import { pino } from 'pino'
import { expect, onTestFinished, test } from 'vitest'
import { isDatabaseAway } from '../src/database/away.ts'
import type { GuardedPool } from '../src/database/guarded-pool.ts'
import { createKnex, poolOf } from '../src/database/knex.ts'
import { createGuardedPool, createPool } from '../src/database/pool.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { createTestDatabase } from './helpers/database.ts'
import { startTcpProxy } from './helpers/tcp-proxy.ts'

const database = await createTestDatabase()
const log = pino({ level: 'silent' })

async function openProxy() {
  const proxy = await startTcpProxy(database.url)
  onTestFinished(() => proxy.close())
  return proxy
}

function openPool(url: string, deadlineMs: number, max = 5): GuardedPool {
  const pool = createGuardedPool(url, 'callbox test', { max, deadlineMs }, log)
  onTestFinished(() => pool.end())
  return pool
}

const backend = 'select pg_backend_pid() as pid'
const pidsOf = async (pool: GuardedPool, count: number): Promise<number[]> => {
  const clients = await Promise.all(Array.from({ length: count }, () => pool.connect()))
  const answers = await Promise.all(clients.map((client) => client.query<{ pid: number }>(backend)))
  for (const client of clients) client.release()
  return answers.map(({ rows }) => rows[0]?.pid ?? 0)
}

test('one silent statement condemns every connection that existed: only one deadline is waited', async () => {
  const proxy = await openProxy()
  const pool = openPool(proxy.databaseUrl, 1_000)
  const former = await pidsOf(pool, 5)
  const busy = await pool.connect()
  proxy.freezeOpen()
  const begunMs = performance.now()
  await expect(pool.query('select 1')).rejects.toMatchObject({ code: 'CALLBOX_SILENT' })
  const waitedMs = performance.now() - begunMs
  const present = await pidsOf(pool, 4)
  expect(performance.now() - begunMs - waitedMs).toBeLessThan(900)
  expect(present.filter((pid) => former.includes(pid))).toEqual([])
  // A connection that was in use is closed when it is released.
  busy.release()
  const later = await pidsOf(pool, 5)
  expect(later.filter((pid) => former.includes(pid))).toEqual([])
})

test('a knex transaction on a silent connection ends at its deadline, and the next one begins immediately', async () => {
  const proxy = await openProxy()
  const knex = createKnex(proxy.databaseUrl, defaultSchema, 'callbox test', 5, { deadlineMs: 1_000 })
  onTestFinished(() => knex.destroy())
  const begunMs = performance.now()
  const silent = knex.transaction(async (trx) => {
    await trx.raw('select 1')
    proxy.freezeOpen()
    await trx.raw('select 2')
  })
  // knex reports its rollback, which finds no connection.
  await expect(silent).rejects.toSatisfy(isDatabaseAway)
  expect(performance.now() - begunMs).toBeLessThan(3_000)
  const next = await knex.transaction((trx) => trx.raw<{ rows: unknown[] }>('select 3 as n'))
  expect(next.rows).toEqual([{ n: 3 }])
})

test('a session that has become read-only is not used again, nor are the others of its pool', async () => {
  const pool = openPool(database.url, 5_000)
  const former = await pidsOf(pool, 3)
  const session = await pool.connect()
  await session.query('set session characteristics as transaction read only')
  await expect(session.query('create table callbox.never (n integer)')).rejects.toMatchObject({ code: '25006' })
  session.release()
  const present = await pidsOf(pool, 3)
  expect(present.filter((pid) => former.includes(pid))).toEqual([])
})

test('a connection released within a transaction or a statement is closed', async () => {
  const pool = openPool(database.url, 5_000, 1)
  const [first] = await pidsOf(pool, 1)
  const inTransaction = await pool.connect()
  await inTransaction.query('begin')
  inTransaction.release()
  const [second] = await pidsOf(pool, 1)
  expect(second).not.toBe(first)
  const inStatement = await pool.connect()
  inStatement.query('select pg_sleep(60)').catch(() => undefined)
  inStatement.release()
  const [third] = await pidsOf(pool, 1)
  expect(third).not.toBe(second)
})

test('a statement that takes too long is aborted by the server, and its connection is kept', async () => {
  const pool = openPool(database.url, 1_500)
  const former = await pidsOf(pool, 2)
  await expect(pool.query('select pg_sleep(60)')).rejects.toMatchObject({ code: '57014' })
  const [present] = await pidsOf(pool, 1)
  expect(former).toContain(present)
})

test('an exhausted pool says so, and an ended one cannot be used', async () => {
  const pool = createGuardedPool(database.url, 'callbox test', { max: 1, waitMs: 200 }, log)
  const held = await pool.connect()
  await expect(pool.query('select 1')).rejects.toMatchObject({ name: 'NoConnection', code: 'CALLBOX_POOL_FULL' })
  held.release()
  await pool.end()
  await expect(pool.query('select 1')).rejects.toThrow('after calling end')
})

test('connections live for half an hour; those that keep plans, for a minute', () => {
  const pool = openPool(database.url, 1_000)
  expect(pool.options.maxLifetimeSeconds).toBe(1_800)
  expect(poolOf(database.knex).options.maxLifetimeSeconds).toBe(1_800)
  const planned = createPool(database.url, defaultSchema, 'callbox test', 1, log)
  onTestFinished(() => planned.end())
  expect(planned.options.maxLifetimeSeconds).toBe(60)
})
