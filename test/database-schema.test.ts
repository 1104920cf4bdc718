import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { expect, inject, onTestFinished, test } from 'vitest'
import { lockBusinessesForChange } from '../src/calls/locks.ts'
import { createKnex } from '../src/database/knex.ts'
import { eventually } from './helpers/eventually.ts'
import { startCallbox, startSurroundings } from './helpers/whole-callbox.ts'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

/** An empty database. */
async function emptyDatabase(): Promise<{ url: string; pool: pg.Pool }> {
  const server = new pg.Client(inject('serverUrl'))
  await server.connect()
  const name = `callbox_${randomBytes(6).toString('hex')}`
  await server.query(`create database ${name}`)
  const url = new URL(inject('serverUrl'))
  url.pathname = name
  const pool = new pg.Pool({ connectionString: url.href, max: 4 })
  pool.on('error', () => undefined)
  onTestFinished(async () => {
    await pool.end()
    await server.query(`drop database ${name} with (force)`)
    await server.end()
  })
  return { url: url.href, pool }
}

const migrate = (databaseUrl: string, schema?: string) =>
  promisify(execFile)(process.execPath, [cli, 'migrate'], {
    env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl, ...(schema && { DATABASE_SCHEMA: schema }) },
  })

/** A name that needs quotes. */
const other = 'order'

test('two Callboxes and a program with a pg-boss of its own share a database', async () => {
  const { url, pool } = await emptyDatabase()
  const surroundings = await startSurroundings()
  // Its queue has the name of ours.
  const boss = new PgBoss({ connectionString: url, max: 2, supervise: false, schedule: false })
  boss.on('error', () => undefined)
  await boss.start()
  onTestFinished(() => boss.stop({ graceful: false }))
  await boss.createQueue('recordings')
  const theirs = await boss.send('recordings', { theirs: true })

  await Promise.all([migrate(url), migrate(url, other)])
  expect((await migrate(url, other)).stdout).toBe('nothing to do: the schema is current\n')
  const hints: string[][] = []
  const listener = new pg.Client(url)
  await listener.connect()
  onTestFinished(() => listener.end())
  listener.on('notification', ({ channel, payload }) => hints.push([channel, payload ?? '']))
  await listener.query('listen callbox_outbox; listen order_outbox')

  const first = await startCallbox(surroundings, [], url)
  const second = await startCallbox(surroundings, [], url, { DATABASE_SCHEMA: other })
  await Promise.all([first.process.ready(), second.process.ready()])
  await first.putBusiness('10', '/first')
  await second.putBusiness('20', '/second')

  // Each gets a call of its own, and both get one shared call.
  const [own, foreign, shared] = [surroundings.call(), surroundings.call(), surroundings.call()]
  for (const [callbox, path, calls] of [
    [first, '/first', [own, shared]],
    [second, '/second', [foreign, shared]],
  ] as const) {
    for (const call of calls) {
      expect(await callbox.callback(call, 'call_status')).toBe(204)
      expect(await callbox.callback(call, 'recording_status')).toBe(204)
    }
    for (const { callSid } of calls) await callbox.posted(path, callSid)
  }
  await pool.query(`select callbox.callbox_enqueue(10, 'CA-1', 'order.placed', 'inbound', '{"call_id": "CA-1"}')`)
  await pool.query(`select "order".callbox_enqueue(20, 'CA-2', 'order.placed', 'inbound', '{"call_id": "CA-2"}')`)
  await first.posted('/first', 'CA-1')
  await second.posted('/second', 'CA-2')

  const told = surroundings.receiver.posts.map(({ path, body, verified }) => [
    path,
    JSON.parse(String(body)).call_id,
    verified,
  ])
  expect(told.sort()).toEqual(
    [
      ['/first', own.callSid, true],
      ['/first', shared.callSid, true],
      ['/first', 'CA-1', true],
      ['/second', foreign.callSid, true],
      ['/second', shared.callSid, true],
      ['/second', 'CA-2', true],
    ].sort(),
  )
  expect(new Set(hints.map((hint) => hint.join(' ')))).toEqual(
    new Set(['callbox_outbox 10:inbound', 'order_outbox 20:inbound']),
  )
  const { rows: schemas } = await pool.query(
    `select nspname as name, count(*) filter (where relkind in ('r', 'p'))::int as tables
     from pg_namespace left join pg_class on relnamespace = pg_namespace.oid
     where nspname !~ '^pg_|^information_schema$' group by 1 order by 1`,
  )
  expect(schemas.map(({ name }) => name)).toEqual(['callbox', 'callbox_jobs', other, 'order_jobs', 'pgboss', 'public'])
  expect(schemas.find(({ name }) => name === 'public')?.tables).toBe(0)
  expect(schemas.find(({ name }) => name === 'callbox')?.tables).toBe(
    schemas.find(({ name }) => name === other)?.tables,
  )
  const [job] = await boss.fetch('recordings')
  expect(job).toMatchObject({ id: theirs, data: { theirs: true } })
})

test('a search_path that leads elsewhere changes nothing, from the first migration to the delivery', async () => {
  const { url, pool } = await emptyDatabase()
  const surroundings = await startSurroundings()
  const names = await pool.query<{ name: string }>(
    `select unnest(array['installation', 'businesses', 'phone_numbers', 'calls', 'call_details', 'call_steps', 'routes',
       'twilio_callbacks', 'webhook_outbox', 'webhook_due', 'webhook_dead_letters', 'webhook_attempts',
       'webhook_unaccounted', 'webhook_deliveries', 'dispatchers', 'slots', 'audit',
       'requeues', 'callbox_migrations', 'callbox_migrations_lock', 'job', 'queue', 'version']) as name`,
  )
  await pool.query('create schema trap')
  for (const { name } of names.rows) await pool.query(`create table trap.${name} (id text, trap text)`)
  await pool.query(`
    create type trap.webhook_settlement as enum ('trap');
    create function trap.callbox_enqueue(bigint, text, text, text, json) returns uuid language sql as 'select 1 / 0; select null::uuid';
    create function trap.callbox_enqueue(bigint, text, text, text, text) returns uuid language sql as 'select 1 / 0; select null::uuid';
    create function trap.callbox_settle(trap.webhook_settlement[], boolean) returns void language sql as 'select 1 / 0';
    do $$ begin execute format('alter database %I set search_path = trap', current_database()); end $$`)

  await migrate(url)
  const callbox = await startCallbox(surroundings, [], url)
  await callbox.process.ready()
  await callbox.putBusiness('10', '/ten')
  const call = surroundings.call()
  expect(await callbox.callback(call, 'call_status')).toBe(204)
  expect(await callbox.callback(call, 'recording_status')).toBe(204)
  const [post] = await callbox.posted('/ten', call.callSid)
  expect(post).toMatchObject({ verified: true, answer: 200 })
  await eventually('the delivery is settled', async () => {
    const [delivery] = await callbox.admin.deliveries(call.callSid)
    return delivery?.status === 'delivered'
  })
  for (const { name } of names.rows) expect((await pool.query(`select from trap.${name}`)).rowCount, name).toBe(0)
  expect(callbox.process.log.filter(({ level }) => Number(level) >= 40)).toEqual([])
})

test('the locks of one Callbox are not those of another', async () => {
  const { url } = await emptyDatabase()
  await Promise.all([migrate(url), migrate(url, other)])
  const [first, second] = ['callbox', other].map((schema) => createKnex(url, schema, 'callbox test', 2))
  onTestFinished(async () => void (await Promise.all([first?.destroy(), second?.destroy()])))
  const held = await first?.transaction()
  if (held === undefined || second === undefined) throw new Error('no connection')
  await lockBusinessesForChange(held)
  await second.transaction(async (trx) => {
    await trx.raw(`set local lock_timeout = '1s'`)
    await lockBusinessesForChange(trx)
  })
  await held.rollback()
})

test.each(['pg_callbox', 'Callbox', 'call-box', '1callbox', 'callbox_jobs', 'information_schema', 'x'.repeat(46)])(
  'DATABASE_SCHEMA=%s is refused in one line',
  async (schema) => {
    const failure = await migrate(inject('serverUrl'), schema).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      code: 1,
      stderr: `DATABASE_SCHEMA: got "${schema}"; expected up to 45 lower-case letters, digits and _, not beginning with a digit or pg_, and not ending with _jobs\n`,
    })
  },
)

test('a name of 45 characters fits', async () => {
  const { url, pool } = await emptyDatabase()
  await migrate(url, 'x'.repeat(45))
  const { rows } = await pool.query('select count(*)::int as n from pg_tables where schemaname = $1', [
    `${'x'.repeat(45)}_jobs`,
  ])
  expect(rows[0].n).toBeGreaterThan(5)
})
