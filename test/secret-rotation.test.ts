import type { IncomingHttpHeaders } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sealedPlace } from '../src/database/sealing.ts'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { Endpoints } from '../src/dispatcher/sending/endpoints.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { sealer } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue } from './helpers/outbox.ts'

let database: TestDatabase
let api: AdminApi
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

const put = async (business: string, body: unknown) =>
  (await api.send('PUT', `/admin/businesses/${business}`, body)).json
const given = (byte: number) => `whsec_${Buffer.alloc(24, byte).toString('base64')}`
const row = async (business: string) => {
  const { rows } = await database.pool.query(
    `select *, extract(epoch from previous_secret_until - now())::float8 / 3600 as hours_left
     from businesses where business_id = $1`,
    [business],
  )
  return rows[0]
}
const former = async (business: string) => {
  const { previous_signing_secret_sealed: sealed } = await row(business)
  return sealed && sealer.open(sealed, sealedPlace.previousSigningSecret(business))
}
/** Moves the end of the overlap, and lets dispatchers see it. */
const overlapEndsIn = (business: string, seconds: number) =>
  database.pool.query(
    `update businesses set previous_secret_until = clock_timestamp() + make_interval(secs => $2), revision = revision + 1
     where business_id = $1`,
    [business, seconds],
  )

describe('what is posted', () => {
  let calls = 0
  /** Enqueues one event; of each of its signatures, which of the secrets made it. */
  async function signersOf(business: string, secrets: Record<string, string>): Promise<(string | undefined)[]> {
    calls += 1
    const id = await enqueue(database, business, `CA${calls}`)
    const post = await eventually('it is posted', () => receiver.posts.find(({ webhookId }) => webhookId === id))
    const signatures = String(post.headers['webhook-signature']).split(' ')
    return signatures.map((signature) =>
      Object.keys(secrets).find((name) => verifies(secrets[name] ?? '', signature, post.headers, post.body)),
    )
  }

  function verifies(secret: string, signature: string, headers: IncomingHttpHeaders, body: Buffer): boolean {
    const alone = { ...(headers as Record<string, string>), 'webhook-signature': signature }
    try {
      new Webhook(secret).verify(body, alone)
      return true
    } catch {
      return false
    }
  }

  test('is signed by the former secret too, until its time is over', async () => {
    const first = (await put('1', { inbound_webhook_url: receiver.endpoint('/1') })).signing_secret
    runDispatcher(database.url)
    expect(await signersOf('1', { first })).toEqual(['first'])

    const second = (await put('1', { signing_secret: null })).signing_secret
    expect(await signersOf('1', { first, second })).toEqual(['second', 'first'])

    const third = given(3)
    await put('1', { signing_secret: third })
    expect(await signersOf('1', { first, second, third })).toEqual(['third', 'second'])

    await overlapEndsIn('1', -1)
    expect(await signersOf('1', { first, second, third })).toEqual(['third'])
  })

  test('is verified by a receiver that has either of the two', async () => {
    const before = given(1)
    await put('2', { inbound_webhook_url: receiver.endpoint('/2', before), signing_secret: before })
    const after = (await put('2', { signing_secret: null })).signing_secret
    runDispatcher(database.url)
    const postOf = async (call: string) => {
      const id = await enqueue(database, '2', call)
      return eventually('it is posted', () => receiver.posts.find(({ webhookId }) => webhookId === id))
    }
    expect((await postOf('CAbefore')).verified).toBe(true)
    receiver.endpoint('/2', after)
    expect((await postOf('CAafter')).verified).toBe(true)
  })
})

/** A business as a dispatcher reads it. */
async function read(business: string) {
  const endpoints = new Endpoints(database.pool, sealer)
  await endpoints.refresh(new Map([[business, (await row(business)).revision]]), new Set())
  return endpoints.get(business)
}

describe('a dispatcher', () => {
  test('stops using a former secret when its time is over, though nothing else changes', async () => {
    await put('10', { signing_secret: given(1) })
    await put('10', { signing_secret: given(2) })
    await overlapEndsIn('10', 3)
    const endpoint = await read('10')
    expect(endpoint?.signingKeys).toHaveLength(2)
    await eventually('one is left', () => endpoint?.signingKeys.length === 1)
    expect(endpoint?.sealError).toBeNull()
  })
})

describe('a former secret that cannot be decrypted', () => {
  test.each([
    ['holds everything back while it has to sign', 60, 'damaged'],
    ['is of no matter when its time is over', -60, null],
  ])('%s', async (_name, secondsLeft, error) => {
    const business = secondsLeft > 0 ? '11' : '12'
    for (const byte of [1, 2]) await put(business, { signing_secret: given(byte) })
    const elsewhere = sealer.seal(given(1), sealedPlace.signingSecret(business))
    const sql = 'update businesses set previous_signing_secret_sealed = $2 where business_id = $1'
    await database.pool.query(sql, [business, elsewhere])
    await overlapEndsIn(business, secondsLeft)
    const endpoint = await read(business)
    expect(endpoint?.signingKeys).toHaveLength(error === null ? 1 : 0)
    expect(endpoint?.sealError).toEqual(error && expect.stringContaining(error))
  })
})

describe('PUT', () => {
  test('keeps the former secret for 24 hours, and tells until when', async () => {
    expect(await put('20', { signing_secret: given(1) })).toMatchObject({ previous_secret_until: null })
    expect(await former('20')).toBeNull()
    const changed = await put('20', { signing_secret: given(2) })
    const stored = await row('20')
    expect(changed.previous_secret_until).toBe(stored.previous_secret_until.toISOString())
    expect(stored.hours_left).toBeGreaterThan(23.9)
    expect(stored.hours_left).toBeLessThanOrEqual(24)
    expect(await former('20')).toBe(given(1))
    expect(changed).not.toHaveProperty('signing_secret')
  })

  test('twice within 24 hours keeps the newest former one', async () => {
    for (const byte of [1, 2, 3]) await put('21', { signing_secret: given(byte) })
    expect(await former('21')).toBe(given(2))
  })

  test('that repeats the secret, or says nothing of it, changes neither it nor the overlap', async () => {
    for (const byte of [1, 2]) await put('22', { signing_secret: given(byte) })
    await overlapEndsIn('22', 60)
    const before = await row('22')
    await put('22', { signing_secret: given(2) })
    await put('22', { name: 'x' })
    const after = await row('22')
    for (const column of ['signing_secret_sealed', 'previous_signing_secret_sealed', 'previous_secret_until']) {
      expect([column, after[column]]).toEqual([column, before[column]])
    }
  })

  test('replaces a secret that cannot be decrypted; there is no former one then', async () => {
    for (const byte of [1, 2]) await put('23', { signing_secret: given(byte) })
    await database.pool.query(`update businesses set signing_secret_sealed = '\\x00' where business_id = 23`)
    expect((await put('23', { signing_secret: null })).signing_secret).toMatch(/^whsec_/)
    expect(await row('23')).toMatchObject({ previous_signing_secret_sealed: null, previous_secret_until: null })
  })
})
