import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { migrate } from '../src/database/migrate.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { secretsKey } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { spawnService } from './helpers/service-process.ts'

const database = await createTestDatabase()

test('a database that there is not ends the start with one line; it is no outage that would pass', async () => {
  const url = new URL(database.url)
  url.pathname = '/nowhere'
  const service = spawnService(['dispatcher'], url.href)
  await expect(service.ready()).rejects.toThrow(
    'DATABASE_URL: the database refuses it: database "nowhere" does not exist',
  )
  expect(await service.exited()).toBe(1)
})

test('a database of another version is not migrated, and its migrations are named', async () => {
  const other = await createTestDatabase()
  await other.pool.query(`update callbox_migrations set name = '004_of_old.ts' where name like '004%'`)
  await expect(migrate(other.url, defaultSchema)).rejects.toThrow(
    'the database was made by another version of Callbox: it has 004_of_old.ts, which this one does not know; use that version with it, or this one with a new database',
  )
})

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const away = new URL(database.url)
away.port = '1'
const nowhere = new URL(database.url)
nowhere.pathname = '/nowhere'

test.each([
  [
    'migrate',
    { DATABASE_URL: nowhere.href },
    'DATABASE_URL: the database refuses it: database "nowhere" does not exist',
  ],
  ['migrate', { DATABASE_URL: away.href }, 'DATABASE_URL: the database does not answer: connect ECONNREFUSED'],
  [
    'migrate',
    { DATABASE_URL: database.url, DATABASE_DIRECT_URL: away.href },
    'DATABASE_DIRECT_URL: the database does not answer: connect ECONNREFUSED',
  ],
  ['reseal', { DATABASE_URL: away.href }, 'DATABASE_URL: the database does not answer: connect ECONNREFUSED'],
])('%s with a database that cannot be used ends with one line (%j)', async (command, urls, says) => {
  const previous = Buffer.alloc(32, 1).toString('base64')
  const keys = { SECRETS_KEY: secretsKey.toString('base64'), SECRETS_KEY_PREVIOUS: previous }
  const env = { PATH: process.env['PATH'], ADMIN_TOKEN: 'a-token-for-this-test', ...keys, ...urls }
  const failure = await promisify(execFile)(process.execPath, [cli, command], { env }).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 1, stderr: expect.stringContaining(says) })
  expect(
    String((failure as { stderr: string }).stderr)
      .trim()
      .split('\n'),
  ).toHaveLength(1)
})
