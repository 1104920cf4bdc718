import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { reseal } from '../src/database/reseal.ts'
import { Sealer, sealedPlace } from '../src/database/sealing.ts'
import { checkSecretsKey } from '../src/database/secrets-key.ts'
import { startReceiver } from '../src/demo/receiver.ts'
import { startAdminApi } from './helpers/admin-api.ts'
import { putBusiness, secretsKey } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { knexThatDiesAfter } from './helpers/dying-knex.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { enqueue, untilStatus } from './helpers/outbox.ts'
import { startProcess } from './helpers/processes.ts'

const newKey = Buffer.alloc(32, 8)
const before = new Sealer(secretsKey)
const both = new Sealer(newKey, secretsKey)
const after = new Sealer(newKey)

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, installation')
  await checkSecretsKey(database.knex, before)
})

/** Writes businesses 1 to `count`, every third with headers and every fourth with a former secret, as `sealer` seals. */
async function putBusinesses(count: number, sealer: Sealer): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => {
    const id = String(index + 1)
    const sealed = (wanted: boolean, text: string, place: string) => (wanted ? sealer.seal(text, place) : null)
    return {
      business_id: id,
      signing_secret_sealed: sealer.seal(`secret ${id}`, sealedPlace.signingSecret(id)),
      headers_sealed: sealed(index % 3 === 0, `headers ${id}`, sealedPlace.headers(id)),
      previous_signing_secret_sealed: sealed(index % 4 === 0, `former ${id}`, sealedPlace.previousSigningSecret(id)),
      previous_secret_until: index % 4 === 0 ? new Date(Date.now() + 3_600_000) : null,
    }
  })
  await database.knex('callbox.businesses').insert(rows)
}

const stored = async () => (await database.pool.query('select * from businesses order by business_id')).rows
const fingerprint = async () => (await database.pool.query('select value from installation')).rows[0]?.value

/** What all values say when they are opened. @throws {SealError} when one is not opened. */
async function contents(sealer: Sealer) {
  return (await stored()).map((row) => ({
    id: row.business_id,
    secret: sealer.open(row.signing_secret_sealed, sealedPlace.signingSecret(row.business_id)),
    headers: row.headers_sealed && sealer.open(row.headers_sealed, sealedPlace.headers(row.business_id)),
    former:
      row.previous_signing_secret_sealed &&
      sealer.open(row.previous_signing_secret_sealed, sealedPlace.previousSigningSecret(row.business_id)),
    revision: row.revision,
    until: row.previous_secret_until,
  }))
}

describe('reseal', () => {
  test('seals all values anew, in batches, and records the new key', async () => {
    await putBusinesses(450, before)
    const told = await contents(before)
    const expected = 450 + 150 + 113
    expect(await reseal(database.knex, both)).toEqual({ values: expected, unreadable: [] })
    expect(await contents(after)).toEqual(told)
    expect(await fingerprint()).toBe(after.fingerprint)
    await expect(contents(before)).rejects.toThrow('sealed with key')

    const once = await stored()
    expect(await reseal(database.knex, both)).toEqual({ values: 0, unreadable: [] })
    expect(await stored()).toEqual(once)
  })

  test('may end after any of its statements, and be run again', async () => {
    await putBusinesses(3, before)
    const told = await contents(before)
    const counting = knexThatDiesAfter(database.url, Number.POSITIVE_INFINITY)
    await reseal(counting.knex, both)
    const statements = counting.statements.length
    expect(statements).toBeGreaterThan(8)
    for (let n = 1; n <= statements; n++) {
      await emptyTables(database, 'businesses, installation')
      await checkSecretsKey(database.knex, before)
      await putBusinesses(3, before)
      await database.pool.query(
        'update businesses set previous_secret_until = $1 where previous_secret_until is not null',
        [told[0]?.until],
      )
      await expect(reseal(knexThatDiesAfter(database.url, n).knex, both)).rejects.toThrow()
      // Whatever it left: processes with both keys go on, and the fingerprint says who else may.
      expect([n, await contents(both)]).toEqual([n, told])
      if ((await fingerprint()) === after.fingerprint) expect([n, await contents(after)]).toEqual([n, told])
      await checkSecretsKey(database.knex, both)
      await reseal(database.knex, both)
      expect([n, await contents(after), await fingerprint()]).toEqual([n, told, after.fingerprint])
    }
  })

  test('goes round again for what a process with the former key alone has written meanwhile', async () => {
    await putBusinesses(250, before)
    const old = await startAdminApi(database)
    const blocker = await database.pool.connect()
    onTestFinished(() => blocker.release(true))
    await blocker.query('begin')
    await blocker.query('select from businesses where business_id = 220 for update')
    const resealed = reseal(database.knex, both)
    await untilSomebodyWaits(database, 'transactionid')
    // Behind it: the first 200 are done.
    expect((await old.send('PUT', '/admin/businesses/2', { headers: { a: 'b' } })).status).toBe(200)
    await blocker.query('commit')
    await resealed
    expect((await contents(after))[1]?.headers).toBe('{"a":"b"}')

    // From then on it is refused: nobody else could open what it seals.
    const refused = await old.send('PUT', '/admin/businesses/2', { headers: { a: 'c' } })
    expect(refused.status).toBe(503)
    expect(refused.json.detail).toContain('SECRETS_KEY')
    expect((await contents(after))[1]?.headers).toBe('{"a":"b"}')
  })

  test('leaves what neither key opens, says so, and ends', async () => {
    await putBusinesses(2, before)
    const foreign = new Sealer(Buffer.alloc(32, 9)).seal('x', sealedPlace.headers('1'))
    await database.pool.query('update businesses set headers_sealed = $1 where business_id = 1', [foreign])
    const swapped = before.seal('secret 1', sealedPlace.signingSecret('1'))
    await database.pool.query('update businesses set signing_secret_sealed = $1 where business_id = 2', [swapped])
    const { values, unreadable } = await reseal(database.knex, both)
    expect(values).toBe(2)
    expect(unreadable).toEqual([
      expect.stringMatching(/^business 1 headers: sealed with key [0-9a-f]{8}/),
      'business 2 signing_secret: the value sealed for business 2 signing_secret is damaged',
    ])
    const rows = await stored()
    expect([rows[0].headers_sealed, rows[1].signing_secret_sealed]).toEqual([foreign, swapped])
    expect(await fingerprint()).toBe(after.fingerprint)
  })

  test('refuses a database that neither key has sealed', async () => {
    await putBusinesses(1, before)
    const rows = await stored()
    const others = new Sealer(newKey, Buffer.alloc(32, 9))
    await expect(reseal(database.knex, others)).rejects.toThrow(`expected the key ${before.fingerprint}`)
    expect([await stored(), await fingerprint()]).toEqual([rows, before.fingerprint])
  })

  describe('as a command', () => {
    const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
    const keys = { SECRETS_KEY: newKey.toString('base64'), SECRETS_KEY_PREVIOUS: secretsKey.toString('base64') }

    function run(settings: Record<string, string>) {
      const env = { PATH: process.env['PATH'], DATABASE_URL: database.url, ...settings }
      const child = spawn(process.execPath, [cli, 'reseal'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
      const said = { out: '', err: '' }
      child.stdout.on('data', (chunk) => {
        said.out += chunk
      })
      child.stderr.on('data', (chunk) => {
        said.err += chunk
      })
      const ended = once(child, 'close').then(([code, signal]) => ({ ended: code ?? signal, ...said }))
      onTestFinished(async () => {
        child.kill('SIGKILL')
        await ended
      })
      return { child, ended }
    }

    test('killed midway and run again', async () => {
      await putBusinesses(450, before)
      const told = await contents(before)
      const blocker = await database.pool.connect()
      onTestFinished(() => blocker.release(true))
      await blocker.query('begin')
      await blocker.query('select from businesses where business_id = 300 for update')
      const first = run(keys)
      await untilSomebodyWaits(database, 'transactionid')
      first.child.kill('SIGKILL')
      expect((await first.ended).ended).toBe('SIGKILL')
      const current = (await stored()).filter((row) => both.isCurrent(row.signing_secret_sealed))
      expect(current).toHaveLength(200)
      expect([await contents(both), await fingerprint()]).toEqual([told, before.fingerprint])
      await blocker.query('rollback')

      const second = await run(keys).ended
      expect(second).toMatchObject({ ended: 0, err: '' })
      expect(second.out).toContain(after.fingerprint)
      expect([await contents(after), await fingerprint()]).toEqual([told, after.fingerprint])
    })

    test('beside a dispatcher with both keys, which delivers before and after', async () => {
      const receiver = await startReceiver()
      onTestFinished(() => receiver.close())
      const secret = await putBusiness(database, '1', { inbound: `${receiver.url}/1`, headers: { 'x-key': 'value' } })
      receiver.endpoint('/1', secret)
      const dispatcher = startProcess(['dispatcher'], database.url, keys)
      await dispatcher.ready()
      await untilStatus(database, await enqueue(database, '1', 'CAbefore'), 'delivered')
      expect((await run(keys).ended).ended).toBe(0)
      await database.pool.query('update businesses set revision = revision + 1')
      await untilStatus(database, await enqueue(database, '1', 'CAafter'), 'delivered')
      expect(receiver.posts.map(({ verified, headers }) => [verified, headers['x-key']])).toEqual([
        [true, 'value'],
        [true, 'value'],
      ])
    })

    test.each([
      [
        'no former key',
        { SECRETS_KEY_PREVIOUS: '' },
        'SECRETS_KEY_PREVIOUS: got nothing; expected the former SECRETS_KEY',
      ],
      ['no new key', { SECRETS_KEY: '' }, 'SECRETS_KEY: got nothing; expected the new key'],
      ['a former key that is none', { SECRETS_KEY_PREVIOUS: 'short' }, 'SECRETS_KEY_PREVIOUS: got a value of 5 char'],
    ])('with %s it ends with one line', async (_name, settings, line) => {
      const { ended, err } = await run({ ...keys, ...settings }).ended
      expect(ended).toBe(1)
      expect(err).toContain(line)
      expect(err.trim().split('\n')).toHaveLength(1)
    })
  })
})

describe('the key at start', () => {
  test('may be the previous one while a database is resealed, and not after', async () => {
    await checkSecretsKey(database.knex, both)
    await expect(checkSecretsKey(database.knex, after)).rejects.toThrow(`expected the key ${before.fingerprint}`)
    await reseal(database.knex, both)
    await checkSecretsKey(database.knex, both)
    await checkSecretsKey(database.knex, after)
    await expect(checkSecretsKey(database.knex, before)).rejects.toThrow(`expected the key ${after.fingerprint}`)
  })

  test('seals with the new key and opens both', () => {
    const place = sealedPlace.headers('1')
    expect(both.open(before.seal('x', place), place)).toBe('x')
    expect(both.open(after.seal('x', place), place)).toBe('x')
    expect(after.open(both.seal('x', place), place)).toBe('x')
    expect(() => both.open(before.seal('x', place), sealedPlace.headers('2'))).toThrow('damaged')
    expect(() => both.open(new Sealer(Buffer.alloc(32, 9)).seal('x', place), place)).toThrow('sealed with key')
  })
})
