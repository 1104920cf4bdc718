import pg from 'pg'
import { pino } from 'pino'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { fleetMetrics } from '../src/admin/fleet-metrics.ts'
import { startReceiver } from '../src/demo/receiver.ts'
import { account, startAccounting } from '../src/maintenance/accounting.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { putBusiness } from './helpers/businesses.ts'
import { runCheck } from './helpers/check-process.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { deliveryOf, enqueue, setDeliveries, untilStatus } from './helpers/outbox.ts'

let database: TestDatabase
const lines: string[] = []
const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) })
beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  lines.length = 0
  await emptyTables(database, 'webhook_outbox, webhook_attempts, webhook_unaccounted, routes, businesses, installation')
})

const query = async (sql: string, values: unknown[] = []) => (await database.pool.query(sql, values)).rows
const examine = () => account({ knex: database.knex, log })
const found = async () => (await query('select id from webhook_unaccounted order by id')).map(({ id }) => id)

/** An event whose other rows were deleted by hand. */
async function lose(call: string, status: 'pending' | 'failed' | 'skipped' | 'delivered'): Promise<string> {
  const id = await enqueue(database, '1', call)
  await setDeliveries(database, 'id = $1', [id], { status })
  for (const table of ['webhook_due', 'webhook_dead_letters']) {
    await query(`delete from ${table} where id = $1`, [id])
  }
  await query('delete from webhook_attempts where delivery_id = $1', [id])
  return id
}

/** One of each kind that is accounted for; `failed` has attempts without a success. */
async function fillAccounted(): Promise<void> {
  for (const status of ['pending', 'failed', 'skipped', 'delivered'] as const) {
    const id = await enqueue(database, '1', `CA-${status}`)
    await setDeliveries(database, 'id = $1', [id], { status, attempt_count: 2 })
  }
  for (const status of ['failed', 'skipped', 'delivered'] as const) {
    const id = await enqueue(database, '1', `CA-emptied-${status}`)
    await setDeliveries(database, 'id = $1', [id], { status, emptied: true })
  }
}

describe('the hourly examination', () => {
  test.each(['pending', 'failed', 'skipped', 'delivered'] as const)(
    'finds an event that was %s and whose rows were deleted, and no other',
    async (status) => {
      await fillAccounted()
      const lost = await lose('CA-lost', status)
      expect(await examine()).toBe(1)
      expect(await found()).toEqual([lost])
      expect(lines.map((line) => JSON.parse(line))).toMatchObject([
        { level: 50, event: 'accounting.unaccounted', events: 1 },
      ])
    },
  )

  test('finds one whose attempts all failed', async () => {
    const lost = await lose('CA-lost', 'pending')
    await query(
      `insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result)
       values (1, $1, gen_random_uuid(), 1, now(), 5, '', 'timeout')`,
      [lost],
    )
    expect(await examine()).toBe(1)
  })

  test('reports nothing when all is well, and ignores uncommitted events', async () => {
    await fillAccounted()
    const client = await database.pool.connect()
    try {
      await client.query('begin')
      await client.query(`select callbox_enqueue(1, 'CA-open', 'call.completed', 'inbound', '{}')`)
      // A settle in the middle of its transaction has changed nothing for others.
      await client.query(`delete from webhook_due where id = callbox_delivery_id(1, 'CA-pending', 'call.completed')`)
      expect(await examine()).toBe(0)
    } finally {
      await client.query('rollback')
      client.release()
    }
    expect([await found(), lines]).toEqual([[], []])
  })

  test('examines what is new, and an hour before it, in which a transaction may have committed late', async () => {
    const [old, late] = [await lose('CA-old', 'pending'), await lose('CA-late', 'pending')]
    await examine()
    expect(await found()).toEqual([old, late].sort())
    await query('delete from webhook_unaccounted')
    const created = (id: string, ago: string) =>
      query(`update webhook_outbox set created_at = now() - $2::interval where id = $1`, [id, ago])
    await created(old, '62 minutes')
    await created(late, '58 minutes')
    const recent = await lose('CA-recent', 'pending')
    expect(await examine()).toBe(2)
    expect(await found()).toEqual([late, recent].sort())
  })

  test('examines what was enqueued while none could run, however long ago', async () => {
    await examine()
    await query(`update installation set value = (now() - interval '3 days')::text where key = 'accounted_until'`)
    const lost = await lose('CA-lost', 'pending')
    await query(`update webhook_outbox set created_at = now() - interval '70 hours'`)
    expect(await examine()).toBe(1)
    expect(await found()).toEqual([lost])
  })

  test('walks all pages, also through events of one moment', async () => {
    await query(
      `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, payload, created_at)
       select 1 + n % 3, gen_random_uuid(), 'CA' || n, 'call.completed', 'inbound', '{}', '2025-06-06T06:06:06.123456Z'
       from generate_series(1, 12000) n`,
    )
    await query(
      `insert into webhook_due (business_id, id, direction, bytes)
       select business_id, id, direction, 2 from webhook_outbox where substr(call_sid, 3)::integer % 4000 <> 1`,
    )
    expect(await examine()).toBe(3)
  })

  test('forgets events that are accounted for again, however that happened', async () => {
    const [first, second] = [await lose('CA1', 'pending'), await lose('CA2', 'pending')]
    expect(await examine()).toBe(2)
    await setDeliveries(database, 'id = $1', [first], { status: 'pending' })
    expect(await examine()).toBe(1)
    expect(await found()).toEqual([second])
    await query('delete from webhook_outbox where id = $1', [second])
    expect(await examine()).toBe(0)
  })

  test('is done by one process at a time, and leaves no trace when it is interrupted', async () => {
    await lose('CA-lost', 'pending')
    const other = await database.knex.transaction()
    await other.raw(`select pg_advisory_xact_lock('callbox.webhook_outbox'::regclass::oid::integer, 0)`)
    expect(await examine()).toBeNull()
    await other.rollback()
    expect([await found(), await query('select 1 from installation')]).toEqual([[], []])
    expect(await examine()).toBe(1)
  })

  test('has a timer that stops', async () => {
    await startAccounting({ knex: database.knex, log }).stop()
  })
})

describe('callbox check', () => {
  test('reports a sound outbox and exits with 0, with and without --repair', async () => {
    await fillAccounted()
    for (const options of [[], ['--repair']]) {
      const { code, stdout, stderr } = await runCheck(database.url, ...options)
      expect([code, stdout, stderr]).toEqual([0, expect.stringMatching(/^7 events examined, 0 unaccounted for/), ''])
    }
    expect((await query('select count(*)::int as n from webhook_due'))[0].n).toBe(1)
  })

  test('examines the whole table, names what it finds, changes nothing and exits with 1', async () => {
    await fillAccounted()
    await examine()
    const lost = await lose('CA-lost', 'failed')
    await query(`update webhook_outbox set created_at = '2024-01-01T00:00:00Z' where id = $1`, [lost])
    expect(await examine()).toBe(0)
    const { code, stdout } = await runCheck(database.url)
    expect([code, stdout.split('\n')]).toEqual([
      1,
      [
        `unaccounted: ${lost} of business 1`,
        '8 events examined, 1 unaccounted for',
        'callbox check --repair makes them due again',
        '',
      ],
    ])
    expect(await found()).toEqual([lost])
    expect(await query('select 1 from webhook_due where id = $1', [lost])).toEqual([])
  })

  test('--repair makes them due again, with the same id and bytes, and the receiver gets them', async () => {
    const receiver = await startReceiver()
    try {
      receiver.endpoint('/one', await putBusiness(database, '1', { inbound: `${receiver.url}/one` }))
      const lost: string[] = []
      for (const status of ['pending', 'failed', 'skipped', 'delivered'] as const) {
        lost.push(await lose(`CA-${status}`, status))
      }
      // A partial restore may lack the row of the route as well.
      await query('delete from routes where business_id = 1')
      await query(`insert into routes (business_id, direction) values (1, 'outbound')`)
      const { code, stdout } = await runCheck(database.url, '--repair')
      expect([code, stdout]).toEqual([0, expect.stringContaining('4 unaccounted for and made due again\n')])
      expect(await found()).toEqual([])
      for (const id of lost) expect(await deliveryOf(database, id)).toMatchObject({ status: 'pending', step: 0 })
      expect(await examine()).toBe(0)
      runDispatcher(database.url)
      for (const id of lost) await untilStatus(database, id, 'delivered')
      expect(receiver.posts.map(({ webhookId, verified }) => [webhookId, verified]).sort()).toEqual(
        lost.map((id) => [id, true]).sort(),
      )
      expect((await runCheck(database.url)).code).toBe(0)
    } finally {
      await receiver.close()
    }
  })

  test('says in one line that the database is away, or lacks the schema', async () => {
    const away = await runCheck('postgres://callbox@127.0.0.1:1/callbox')
    expect([away.code, away.stdout, away.stderr.split('\n')]).toEqual([
      1,
      '',
      [expect.stringMatching(/^DATABASE_URL: /), ''],
    ])
    const admin = new pg.Client(database.url)
    await admin.connect()
    try {
      await admin.query('create database without_schema')
      const url = new URL(database.url)
      url.pathname = '/without_schema'
      const bare = await runCheck(url.href)
      expect([bare.code, bare.stdout, bare.stderr.trimEnd().split('\n').length]).toEqual([1, '', 1])
      expect(bare.stderr).toMatch(/migrate/)
    } finally {
      await admin.query('drop database without_schema')
      await admin.end()
    }
  })
})

test('the metric tells how many are known, until they are put back', async () => {
  const metrics = createMetrics()
  fleetMetrics(database.knex, metrics)
  const told = async () =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith('callbox_outbox_unaccounted'))
  expect(await told()).toEqual(['callbox_outbox_unaccounted 0'])
  await lose('CA1', 'pending')
  await lose('CA2', 'delivered')
  await examine()
  await expect.poll(told).toEqual(['callbox_outbox_unaccounted 2'])
  await runCheck(database.url, '--repair')
  await expect.poll(told).toEqual(['callbox_outbox_unaccounted 0'])
})
