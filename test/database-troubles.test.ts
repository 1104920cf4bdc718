import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createTestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { startProcess } from './helpers/processes.ts'

const serverUrl = inject('serverUrl')
const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const own = await createTestDatabase()
const suffix = randomBytes(4).toString('hex')
const names = {
  weak: `weak_${suffix}`,
  barred: `barred_${suffix}`,
  full: `full_${suffix}`,
  closed: `closed_${suffix}`,
  ascii: `ascii_${suffix}`,
  frozen: `frozen_${suffix}`,
  guarded: `guarded_${suffix}`,
  taken: `taken_${suffix}`,
}
const databases = [names.closed, names.ascii, names.frozen, names.guarded, names.taken]
const admin = new pg.Client(serverUrl)

function urlOf(changes: {
  user?: string
  password?: string
  database?: string
  query?: string
  host?: string
}): string {
  const url = new URL(own.url)
  if (changes.host !== undefined) url.host = changes.host
  if (changes.user !== undefined) url.username = changes.user
  if (changes.password !== undefined) url.password = changes.password
  if (changes.database !== undefined) url.pathname = changes.database
  url.search = changes.query ?? ''
  return url.href
}

beforeAll(async () => {
  await admin.connect()
  await admin.query(`create role ${names.weak} login password 'secret'`)
  await admin.query(`create role ${names.barred} nologin password 'secret'`)
  await admin.query(`create role ${names.full} login password 'secret' connection limit 0`)
  for (const name of databases) {
    const encoding = name === names.ascii ? 'SQL_ASCII' : 'UTF8'
    await admin.query(`create database ${name} encoding '${encoding}' locale 'C' template template0`)
  }
  await admin.query(`alter database ${names.closed} with allow_connections false`)
  await admin.query(`alter database ${names.frozen} set default_transaction_read_only = on`)
  await admin.query(`revoke connect on database ${names.guarded} from public`)
  const taken = new pg.Client(urlOf({ database: names.taken }))
  await taken.connect()
  await taken.query('create schema callbox; create table callbox.businesses (of_another_program integer)')
  await taken.end()
})
afterAll(async () => {
  for (const name of databases) await admin.query(`drop database ${name} with (force)`)
  for (const role of [names.weak, names.barred, names.full]) await admin.query(`drop role ${role}`)
  await admin.end()
})

/** The output and exit code of `migrate` with this database. */
async function migrate(url: string): Promise<{ code: number; lines: string[] }> {
  const env = { PATH: process.env['PATH'], DATABASE_URL: url }
  const ended = await promisify(execFile)(process.execPath, [cli, 'migrate'], { env }).catch((error: unknown) => error)
  const { code = 0, stderr } = ended as { code?: number; stderr: string }
  return { code, lines: stderr.trim().split('\n') }
}

const weak = { user: names.weak, password: 'secret' }

describe('migrate says in one line what is wrong and what to do', () => {
  test.each([
    [
      'a wrong password',
      { user: names.weak, password: 'wrong' },
      'the database refuses it: password authentication failed for user "weak_',
      'correct the user and the password',
    ],
    [
      'no password',
      { user: names.weak, password: '' },
      'the server asks for a password',
      'put the password into the URL',
    ],
    [
      'a role that may not log in',
      { user: names.barred, password: 'secret' },
      'is not permitted to log in',
      'let pg_hba.conf and the role permit it',
    ],
    [
      'no connection slot',
      { user: names.full, password: 'secret' },
      'too many connections for role',
      'raise max_connections',
    ],
    [
      'no such database',
      { database: 'nowhere' },
      'the database refuses it: database "nowhere" does not exist',
      'create it',
    ],
    [
      'a database without connections',
      { database: names.closed },
      'is not currently accepting connections',
      'allow_connections true',
    ],
    [
      'no CONNECT privilege',
      { ...weak, database: names.guarded },
      'permission denied for database',
      'grant connect on database',
    ],
    ['no CREATE privilege', { ...weak, database: names.taken }, 'permission denied', 'grant create on the database'],
    [
      'a table name that is taken',
      { database: names.taken },
      'relation "businesses" already exists',
      'use a database or DATABASE_SCHEMA of its own',
    ],
    [
      'TLS that the server does not offer',
      { query: 'sslmode=require' },
      'the server does not offer TLS',
      'sslmode=disable',
    ],
    [
      'a missing sslrootcert',
      { query: 'sslmode=require&sslrootcert=/nowhere/ca.pem' },
      'got sslrootcert=/nowhere/ca.pem (ENOENT)',
      'expected a PEM file',
    ],
    [
      'a host name that is unknown',
      { host: 'nowhere.invalid:5432' },
      'the host name of the database is unknown',
      'correct the host in the URL',
    ],
    [
      'another encoding',
      { database: names.ascii },
      'got a database with encoding SQL_ASCII; expected UTF8',
      "create database … encoding 'UTF8' template template0",
    ],
    [
      'a read-only database',
      { database: names.frozen },
      'the database is read-only',
      'set default_transaction_read_only to off',
    ],
  ])('%s', async (_what, changes, says, todo) => {
    const { code, lines } = await migrate(urlOf(changes))
    expect(lines).toEqual([expect.stringMatching(/^DATABASE_URL: /)])
    expect(lines[0]).toContain(says)
    expect(lines[0]).toContain(todo)
    expect(lines[0]).not.toContain('secret')
    expect(code).toBe(1)
  })
})

/** What `/readyz` answers: `[]` when it is ready. */
async function notReady(port: number): Promise<string[]> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
  const body = (await answer.json()) as { reasons?: string[] }
  return answer.status === 200 ? [] : (body.reasons ?? [])
}

describe('a role that is started', () => {
  test.each([
    ['a wrong password', { user: names.weak, password: 'wrong' }, 'password authentication failed'],
    ['no CONNECT privilege', { ...weak, database: names.guarded }, 'permission denied for database'],
    ['TLS that the server does not offer', { query: 'sslmode=verify-full' }, 'the server does not offer TLS'],
    ['another encoding', { database: names.ascii }, 'got a database with encoding SQL_ASCII; expected UTF8'],
  ])('ends with one line where waiting does not help: %s', async (_what, changes, says) => {
    const service = startProcess(['dispatcher'], urlOf(changes))
    await expect(service.ready()).rejects.toThrow(says)
    expect(await service.exited()).toBe(1)
  })

  test.each([
    ['no connection slot', { user: names.full, password: 'secret' }, 'the server has no free connection slot'],
    ['a database without connections', { database: names.closed }, 'the database accepts no connections'],
    ['a read-only database', { database: names.frozen }, 'the database is read-only'],
    ['an unknown host', { host: 'nowhere.invalid:5432' }, 'the host name of the database is unknown'],
    ['a server that is not there', { host: '127.0.0.1:1' }, 'the database does not answer'],
    ['a missing privilege', { ...weak, database: new URL(own.url).pathname }, 'lacks a privilege'],
  ])('waits and says why, in its log and on /readyz: %s', async (_what, changes, says) => {
    const service = startProcess(['dispatcher'], urlOf(changes))
    const { port } = await service.untilLogged('service.listening')
    const { reason } = await service.untilLogged('service.waiting')
    expect(reason).toMatch(/^DATABASE_URL: /)
    expect(String(reason).split('\n')).toHaveLength(1)
    const reasons = await notReady(Number(port))
    expect(reasons).toEqual([expect.stringContaining(says), 'starting: dispatcher'])
    expect(reasons.join()).not.toContain(new URL(own.url).username)
  })
})

test('a role that runs tells on /readyz what has happened to its database, and comes back', async () => {
  const database = await createTestDatabase()
  const name = new URL(database.url).pathname.slice(1)
  const service = startProcess(['dispatcher'], database.url)
  const port = Number((await service.untilLogged('service.listening'))['port'])
  await service.ready()
  await eventually('it is ready', async () => (await notReady(port)).length === 0)
  const cut = () => admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name])
  await admin.query(`alter database ${name} with allow_connections false`)
  await cut()
  await eventually('it says so', async () =>
    (await notReady(port))[0]?.startsWith('the database accepts no connections'),
  )
  await admin.query(`alter database ${name} with allow_connections true`)
  await eventually('it is ready again', async () => (await notReady(port)).length === 0)
  await admin.query(`alter database ${name} set default_transaction_read_only = on`)
  await cut()
  await eventually('it says so', async () => (await notReady(port))[0]?.startsWith('the database is read-only'))
  await admin.query(`alter database ${name} reset default_transaction_read_only`)
  await eventually('it is ready again', async () => (await notReady(port)).length === 0)
})

test('a role whose user may read and not write waits, and says which privilege is missing', async () => {
  await own.pool.query(`grant usage on schema callbox, callbox_jobs to ${names.weak}`)
  await own.pool.query(`grant select on all tables in schema callbox, callbox_jobs to ${names.weak}`)
  const service = startProcess(['api'], urlOf({ ...weak, database: new URL(own.url).pathname }), {
    PORT: '0',
    ADMIN_TOKEN: 'a-token-for-this-test',
  })
  const { port } = await service.untilLogged('service.listening')
  const { reason } = await service.untilLogged('service.waiting')
  expect(reason).toContain('the user of the database lacks a privilege: it may not delete in callbox.audit')
  expect((await notReady(Number(port)))[0]).toBe(reason)
  await own.pool.query(
    `grant select, insert, update, delete on all tables in schema callbox, callbox_jobs to ${names.weak}`,
  )
  await service.ready()
  service.signal('SIGKILL')
  await service.exited()
  await own.pool.query(`drop owned by ${names.weak}`)
})
