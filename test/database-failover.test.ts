import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../src/database/embedded.ts'
import { migrate } from '../src/database/migrate.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { startCallStage } from './helpers/call-stage.ts'
import { eventually } from './helpers/eventually.ts'
import { startTcpProxy } from './helpers/tcp-proxy.ts'

const password = 'test-password'

// Two servers and three roles are started for each test.
vi.setConfig({ testTimeout: 240_000 })

async function run(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client(url)
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query<Record<string, unknown>>(sql)
  await client.end()
  return rows
}

/** A migrated primary and a standby that streams from it. */
async function startPair(): Promise<{ primary: EmbeddedDatabase; standby: EmbeddedDatabase }> {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-failover-'))
  const [first, second] = [join(directory, 'first'), join(directory, 'second')]
  const origin = await startEmbeddedDatabase({ directory: first, port: 0, password, settings: [] })
  await migrate(origin.url, defaultSchema)
  await origin.stop()
  execFileSync('cp', ['-a', first, second])
  rmSync(join(second, 'postmaster.pid'), { force: true })
  writeFileSync(join(second, 'standby.signal'), '')
  const primary = await startEmbeddedDatabase({ directory: first, port: origin.port, password, settings: [] })
  // The library waits for this text, and a standby says that it takes read-only connections.
  const ready = 'log_line_prefix=database system is ready to accept connections '
  const source = `primary_conninfo=host=127.0.0.1 port=${primary.port} user=callbox password=${password}`
  const standby = await startEmbeddedDatabase({ directory: second, port: 0, password, settings: [source, ready] })
  await eventually('the standby answers', () => run(standby.url, 'select 1').catch(() => false as const))
  onTestFinished(async () => {
    await Promise.all([primary.stop(), standby.stop()])
    rmSync(directory, { recursive: true, force: true })
  })
  return { primary, standby }
}

test('roles that start on a standby wait and say so, and work once it is promoted', async () => {
  const { primary, standby } = await startPair()
  const stage = await startCallStage(standby.url)
  for (const role of ['api', 'worker', 'dispatcher'] as const) {
    const { reason } = await stage.roles[role].untilLogged('service.waiting')
    expect(reason).toMatch(/^DATABASE_URL: the server is a standby and takes no writes; /)
    expect(await stage.notReady(role)).toEqual([
      expect.stringContaining('the server is a standby and takes no writes'),
      `starting: ${role}`,
    ])
  }
  await primary.stop()
  await run(standby.url, 'select pg_promote()')
  await stage.untilReady()
  await stage.putBusiness()
  const call = stage.newCall()
  expect(await stage.report(call)).toEqual([204, 204])
  expect(await stage.posted(call.callSid)).toMatchObject({ event_type: 'call.completed' })
})

test('a primary falls silent and its standby takes over: one deadline later every call arrives', async () => {
  const { primary, standby } = await startPair()
  const address = await startTcpProxy(primary.url)
  onTestFinished(() => address.close())
  const stage = await startCallStage(address.databaseUrl)
  await stage.untilReady()
  await stage.putBusiness()
  const before = Array.from({ length: 10 }, () => stage.newCall())
  expect(await Promise.all(before.map((call) => stage.report(call)))).toEqual(before.map(() => [204, 204]))
  for (const { callSid } of before) await stage.posted(callSid)
  const written = await run(primary.url, 'select pg_current_wal_lsn() as lsn')
  await eventually('the standby has it all', async () => {
    const [row] = await run(standby.url, `select pg_last_wal_replay_lsn() >= '${written[0]?.['lsn']}' as has`)
    return row?.['has'] === true
  })

  address.freezeOpen()
  await run(standby.url, 'select pg_promote()')
  address.redirect(standby.url)
  const silentMs = performance.now()
  await stage.untilReady()
  // The deadline of one statement, and a connection; without the guard each silent connection costs a deadline of its own.
  expect(performance.now() - silentMs).toBeLessThan(20_000)
  const after = Array.from({ length: 20 }, () => stage.newCall())
  expect(await Promise.all(after.map((call) => stage.report(call)))).toEqual(after.map(() => [204, 204]))
  for (const { callSid } of after) await stage.posted(callSid)
})

test('a primary that becomes read-only makes no role ready, and none keeps its former sessions', async () => {
  const { primary } = await startPair()
  const stage = await startCallStage(primary.url)
  await stage.untilReady()
  await stage.putBusiness()
  await run(primary.url, 'alter system set default_transaction_read_only = on')
  await run(primary.url, 'select pg_reload_conf()')
  await eventually('the API says so', async () =>
    (await stage.notReady('api')).some((reason) => reason.startsWith('the database is read-only')),
  )
  await run(primary.url, 'alter system reset default_transaction_read_only')
  await run(primary.url, 'select pg_reload_conf()')
  await stage.untilReady()
  const calls = Array.from({ length: 20 }, () => stage.newCall())
  expect(await Promise.all(calls.map((call) => stage.report(call)))).toEqual(calls.map(() => [204, 204]))
  for (const { callSid } of calls) await stage.posted(callSid)
})
