import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { PlannedStatement } from '../src/database/planned-statement.ts'
import { createPool } from '../src/database/pool.ts'
import { inSchema } from '../src/database/schema.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createTestDatabase } from './helpers/database.ts'

const database = await createTestDatabase()

test.each([
  ['select callbox.calls.state from callbox.calls', 'select "x".calls.state from "x".calls'],
  ['insert into "callbox"."calls" ("state") values ($1)', 'insert into "x"."calls" ("state") values ($1)'],
  ['select $1::callbox.webhook_settlement[]', 'select $1::"x".webhook_settlement[]'],
  [
    'select callbox.callbox_enqueue(1), callbox_enqueue.business_id',
    'select "x".callbox_enqueue(1), callbox_enqueue.business_id',
  ],
  ['select from callbox_jobs.job, "callbox_jobs"."job"', 'select from "x_jobs".job, "x_jobs"."job"'],
  [
    `select 'callbox.calls', E'it\\'s callbox.calls', $1 from callbox.calls`,
    `select 'callbox.calls', E'it\\'s callbox.calls', $1 from "x".calls`,
  ],
  [`select 'it''s callbox.calls' from callbox.calls`, `select 'it''s callbox.calls' from "x".calls`],
  [`select 'callbox.calls'::regclass, 'a' from callbox.calls`, `select '"x".calls'::regclass, 'a' from "x".calls`],
  [`select to_regclass('callbox.calls'), 'callbox.b'`, `select to_regclass('"x".calls'), 'callbox.b'`],
  ['select 1 -- of callbox.calls\n from callbox.calls', 'select 1 -- of callbox.calls\n from "x".calls'],
  ["select /* it's callbox.calls */ from callbox.calls", `select /* it's callbox.calls */ from "x".calls`],
  [`select "it's callbox.calls" from callbox.calls`, `select "it's callbox.calls" from "x".calls`],
  ['as $$ insert into callbox.calls values ($a$b$a$) $$', 'as $$ insert into "x".calls values ($a$b$a$) $$'],
  ['select a.callbox.b, my_callbox.c, callbox_outbox.d', 'select a.callbox.b, my_callbox.c, callbox_outbox.d'],
])('%s', (sql, moved) => {
  expect(inSchema(sql, 'x')).toBe(moved)
  expect(inSchema(sql, 'callbox')).toBe(sql)
})

test('a statement prepared by one schema is never run for another on the same session', async () => {
  const pools = ['callbox', 'other'].map((schema) => {
    const pool = createPool(database.url, schema, 'callbox test', 1, createLogger('silent', 'test'))
    onTestFinished(() => pool.end())
    return pool
  })
  await database.pool.query('create schema other; create table other.slots (slot smallint)')
  const names: unknown[] = []
  for (const pool of pools) {
    await new PlannedStatement('select count(*)::int as n from callbox.slots').run(pool, [], true)
    names.push((await pool.query('select name, statement from pg_prepared_statements')).rows)
  }
  const [ours, others] = names
  expect(ours).toEqual([{ name: expect.any(String), statement: 'select count(*)::int as n from callbox.slots' }])
  expect(others).toEqual([{ name: expect.any(String), statement: 'select count(*)::int as n from "other".slots' }])
  expect(new Set([ours, others].flatMap((rows) => (rows as { name: string }[]).map(({ name }) => name))).size).toBe(2)
})

test('every table, type and function is named with its schema in the source', async () => {
  const { rows } = await database.pool.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'callbox'::regnamespace and relkind in ('r', 'c', 'v')
     union select proname from pg_proc where pronamespace = 'callbox'::regnamespace`,
  )
  const name = rows.map((row) => row.name).join('|')
  expect(name).toContain('webhook_outbox')
  const unqualified = new RegExp(
    [
      `\\b(from|join|into|update|table|only|using)\\s+(${name})\\b(?=[\\s,;(\`'"]|$)`,
      `\\b(knex|trx|connection)(<[^>]*>)?\\(\\s*['"\`](${name})\\b`,
      `\\b(join|Join|from|into)\\(\\s*['"\`](${name})\\b`,
      `(?<![.\\w'])(callbox_enqueue|callbox_delivery_id)\\(`,
      `::(${name})\\b`,
    ].join('|'),
  )
  const root = fileURLToPath(new URL('..', import.meta.url))
  const files = ['src', 'migrations'].flatMap((directory) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(directory, file)),
  )
  const found = files.flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .filter((line) => unqualified.test(line) && !/^\s*(\/?\*|\/\/|--)|^import |help: /.test(line))
      .map((line) => `${file}: ${line.trim()}`),
  )
  expect(found).toEqual([])
})

test('the product runs without a search_path of its own', async () => {
  const pool = createPool(database.url, 'callbox', 'callbox test', 1, createLogger('silent', 'test'))
  onTestFinished(() => pool.end())
  expect((await pool.query<{ search_path: string }>('show search_path')).rows).toEqual([
    { search_path: '"$user", public' },
  ])
})

test('a cursor cannot slip through', async () => {
  const pool = createPool(database.url, 'other', 'callbox test', 1, createLogger('silent', 'test'))
  onTestFinished(() => pool.end())
  const client = await pool.connect()
  onTestFinished(() => client.release(true))
  expect(() => client.query(new pg.Query('select from callbox.slots'))).toThrow('expected text')
})
