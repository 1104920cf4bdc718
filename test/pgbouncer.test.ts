import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { migrate } from '../src/database/migrate.ts'
import { PlannedStatement } from '../src/database/planned-statement.ts'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue } from './helpers/outbox.ts'
import { pgbouncerInstalled, startPgbouncer } from './helpers/pgbouncer.ts'

if (!pgbouncerInstalled)
  process.stderr.write('skipped: PgBouncer is not installed (Debian: apt-get install pgbouncer)\n')

let database: TestDatabase
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

test.skipIf(!pgbouncerInstalled)('two dispatchers deliver through PgBouncer in transaction mode', async () => {
  const bouncer = await startPgbouncer(database.url)
  onTestFinished(() => bouncer.stop())
  const businesses = Array.from({ length: 16 }, (_, index) => String(index + 1))
  for (const business of businesses) {
    const secret = await putBusiness(database, business, { inbound: `${receiver.url}/${business}` })
    receiver.endpoint(`/${business}`, secret)
  }
  // No DATABASE_DIRECT_URL: hints cannot come through, and polling alone has to find them.
  // Who answers shares this process with those who ask: a short timeout would repeat what is only slow.
  for (let n = 0; n < 2; n += 1) runDispatcher(bouncer.url, { WEBHOOK_TIMEOUT: '30s' })
  const ids = new Set<string>()
  for (let call = 0; call < 10; call += 1) {
    await Promise.all(businesses.map(async (business) => ids.add(await enqueue(database, business, `CA${call}`))))
  }
  await eventually('all are delivered', async () => {
    const { rows } = await database.pool.query(
      `select from callbox.webhook_deliveries where status <> 'delivered' limit 1`,
    )
    return rows.length === 0
  })
  expect(receiver.posts.map((post) => post.webhookId).sort()).toEqual([...ids].sort())
})

test.skipIf(!pgbouncerInstalled)('two Callboxes of one database deliver through the same PgBouncer', async () => {
  const shared = await createTestDatabase()
  await migrate(shared.url, 'other')
  const pool = new pg.Pool({ connectionString: shared.url, max: 4, options: '-c search_path=other' })
  onTestFinished(() => pool.end())
  const bouncer = await startPgbouncer(shared.url)
  onTestFinished(() => bouncer.stop())
  const posted = new Map<string, string[]>()
  for (const [schema, cell] of [
    ['callbox', shared],
    ['other', { pool }],
  ] as const) {
    const path = `/${schema}`
    receiver.endpoint(path, await putBusiness(cell, '1', { inbound: `${receiver.url}${path}` }))
    posted.set(
      path,
      await Promise.all(Array.from({ length: 50 }, (_, call) => enqueue(cell, '1', `CA-${schema}-${call}`))),
    )
    runDispatcher(bouncer.url, { WEBHOOK_TIMEOUT: '30s', DATABASE_SCHEMA: schema })
  }
  for (const [path, ids] of posted) {
    await expect
      .poll(
        () =>
          receiver.posts
            .filter((post) => post.path === path && post.verified)
            .map((post) => post.webhookId)
            .sort(),
        {
          timeout: 60_000,
        },
      )
      .toEqual(ids.sort())
  }
})

test.skipIf(!pgbouncerInstalled)('a planned statement goes on without its plan, and no caller sees why', async () => {
  const bouncer = await startPgbouncer(database.url)
  const pool = new pg.Pool({ connectionString: bouncer.url, max: 8 })
  pool.on('error', () => undefined)
  onTestFinished(async () => {
    await pool.end()
    await bouncer.stop()
  })
  const statement = new PlannedStatement('select $1::integer + 1 as sum')
  const sums: number[] = []
  for (let round = 0; round < 10; round += 1) {
    const rows = await Promise.all(Array.from({ length: 8 }, () => statement.run<{ sum: number }>(pool, [round], true)))
    sums.push(...rows.flat().map(({ sum }) => sum))
  }
  expect(sums).toHaveLength(80)
  expect(new Set(sums).size).toBe(10)
})
