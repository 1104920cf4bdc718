import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { createTestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

function startMigrate(url: string): { child: ChildProcess; said(): string; ended: Promise<unknown[]> } {
  const env = { PATH: process.env['PATH'], DATABASE_URL: url }
  const child = spawn(process.execPath, [cli, 'migrate'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said += chunk
    })
  }
  const ended = once(child, 'exit')
  onTestFinished(() => void child.kill('SIGKILL'))
  return { child, said: () => said, ended }
}

test('migrate waits for its lock and for a statement longer than any deadline of a role, and says that it waits', async () => {
  const database = await createTestDatabase()
  const holder = new pg.Client(database.url)
  await holder.connect()
  onTestFinished(() => holder.end())
  await holder.query(`select pg_advisory_lock(7000001, hashtext('callbox'))`)
  const migration = startMigrate(database.url)
  await eventually('it says that it waits', () => migration.said().includes('waiting: another callbox migrate'))

  // Next it waits for the table of migrations: a statement that takes 11 s.
  await holder.query('begin; lock table callbox.callbox_migrations')
  const lockedMs = performance.now()
  await holder.query(`select pg_advisory_unlock(7000001, hashtext('callbox'))`)
  await eventually('its statement waits', async () => {
    const { rows } = await database.pool.query(
      `select from pg_stat_activity
       where datname = current_database() and application_name = 'callbox migrate' and wait_event_type = 'Lock'`,
    )
    return rows.length > 0
  })
  await eventually('eleven seconds later', () => performance.now() - lockedMs > 11_000)
  expect(migration.child.exitCode).toBeNull()
  await holder.query('commit')
  expect(await migration.ended).toEqual([0, null])
  expect(migration.said()).toBe(
    'waiting: another callbox migrate is running on this database\nnothing to do: the schema is current\n',
  )
})
