import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { migrate } from '../src/database/migrate.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { startCallStage } from './helpers/call-stage.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { pgbouncerInstalled, startPgbouncer } from './helpers/pgbouncer.ts'
import { startProcess } from './helpers/processes.ts'

/** Defaults of a database that change what statements mean, or how values are written. */
const hostile = {
  datestyle: 'SQL, DMY',
  timezone: 'Asia/Kolkata',
  intervalstyle: 'sql_standard',
  extra_float_digits: '-15',
  bytea_output: 'escape',
  array_nulls: 'off',
  transform_null_equals: 'on',
  standard_conforming_strings: 'off',
  client_encoding: 'LATIN1',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  search_path: 'pg_catalog',
  row_security: 'off',
  exit_on_error: 'on',
  statement_timeout: '1',
  lock_timeout: '1',
  idle_in_transaction_session_timeout: '1',
  idle_session_timeout: '1',
  transaction_timeout: '100',
}

/** Settings that a pooler tracking only a few cannot set, and that none of our statements may depend on. */
const pooled = [
  'extra_float_digits',
  'bytea_output',
  'intervalstyle',
  'transform_null_equals',
  'array_nulls',
  'row_security',
]
const tracked = ['datestyle', 'timezone', 'standard_conforming_strings', 'client_encoding']

async function makeHostile(database: TestDatabase, settings: string[]): Promise<void> {
  const server = new pg.Client(database.url)
  await server.connect()
  const name = new URL(database.url).pathname.slice(1)
  for (const [setting, value] of Object.entries(hostile)) {
    if (!settings.includes(setting)) continue
    await server.query(`alter database ${name} set ${setting} = ${setting === 'datestyle' ? value : `'${value}'`}`)
  }
  await server.end()
}

async function servesCalls(databaseUrl: string): Promise<void> {
  const stage = await startCallStage(databaseUrl)
  await stage.untilReady()
  await stage.putBusiness()
  const calls = Array.from({ length: 5 }, () => stage.newCall())
  expect(await Promise.all(calls.map((call) => stage.report(call)))).toEqual(calls.map(() => [204, 204]))
  for (const { callSid } of calls) {
    expect(await stage.posted(callSid)).toMatchObject({
      event_type: 'call.completed',
      summary: 'A flat to rent in Haifa.',
      started_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    })
  }
  for (const role of Object.values(stage.roles)) {
    expect(role.log.filter(({ level }) => Number(level) >= 50)).toEqual([])
  }
}

test('a database whose defaults are hostile is migrated, and serves calls from callback to webhook', async () => {
  const database = await createTestDatabase()
  await database.pool.query('drop schema callbox cascade; drop schema callbox_jobs cascade')
  await makeHostile(database, Object.keys(hostile))
  await migrate(database.url, defaultSchema)
  await servesCalls(database.url)
})

test.skipIf(!pgbouncerInstalled)('so does one behind PgBouncer in transaction mode', async () => {
  const database = await createTestDatabase()
  await makeHostile(database, [...pooled, ...tracked])
  const bouncer = await startPgbouncer(database.url)
  onTestFinished(() => bouncer.stop())
  await servesCalls(bouncer.url)
})

test.skipIf(!pgbouncerInstalled)('defaults that a pooler keeps us from overriding are logged as warnings', async () => {
  const database = await createTestDatabase()
  const name = new URL(database.url).pathname.slice(1)
  await database.pool.query(`alter database ${name} set default_transaction_isolation = 'repeatable read'`)
  await database.pool.query(`alter database ${name} set statement_timeout = '9s'`)
  const bouncer = await startPgbouncer(database.url)
  onTestFinished(() => bouncer.stop())
  const service = startProcess(['dispatcher'], bouncer.url)
  const warned = [
    await service.untilLogged('database.pooled_default'),
    await service.untilLogged('database.pooled_default'),
  ]
  expect(warned).toMatchObject([
    { setting: 'default_transaction_isolation', value: 'repeatable read' },
    { setting: 'statement_timeout', value: '9000' },
  ])
  await service.ready()
})
