import { readFileSync } from 'node:fs'
import { Webhook } from 'standardwebhooks'
import { beforeAll, describe, expect, test } from 'vitest'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { examples, leftOut, startExample } from './helpers/example-receivers.ts'
import { attemptsOf, deliveryOf, untilStatus } from './helpers/outbox.ts'

const sample = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8')
const sampleCall = 'CA9dd13ec4fcb895203d2162ca7e0297fc'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

let businesses = 0
const put = async (business: string, settings: unknown) =>
  (await api.send('PUT', `/admin/businesses/${business}`, settings)).json

/** A business with a secret, whose calls go to `url`. */
async function newBusiness(): Promise<{ business: string; secret: string; deliverTo(url: string): Promise<void> }> {
  businesses += 1
  const business = String(businesses)
  const { signing_secret: secret } = await put(business, { name: 'Ten Realty' })
  const deliverTo = async (url: string): Promise<void> => void (await put(business, { inbound_webhook_url: url }))
  return { business, secret, deliverTo }
}

async function enqueue(business: string, callSid: string, eventType: string, payload: string): Promise<string> {
  const sql = `select callbox_enqueue($1, $2, $3, 'inbound', $4) as id`
  return (await database.pool.query(sql, [business, callSid, eventType, payload])).rows[0].id
}

const completed = (business: string, callSid: string): Promise<string> =>
  enqueue(business, callSid, 'call.completed', sample.replace(sampleCall, callSid))

async function requeue(id: string): Promise<void> {
  const { attempt_count: before } = await deliveryOf(database, id)
  expect((await api.send('POST', `/admin/deliveries/${id}/requeue`)).status).toBe(200)
  await eventually('it is delivered again', async () => {
    const { status, attempt_count } = await deliveryOf(database, id)
    return status === 'delivered' && attempt_count === before + 1
  })
}

if (leftOut !== null) test.skip(leftOut)

describe.for(examples)('the receiver in $name', (example) => {
  test('handles each call once, whatever is delivered again, before and after it was killed', async () => {
    const { business, secret, deliverTo } = await newBusiness()
    const receiver = await startExample(example, secret)
    await deliverTo(receiver.url)
    runDispatcher(database.url)
    const ids = await Promise.all(['CAone', 'CAtwo', 'CAthree'].map((callSid) => completed(business, callSid)))
    for (const id of ids) await untilStatus(database, id, 'delivered')
    expect(receiver.calls()).toEqual(['CAone', 'CAthree', 'CAtwo'])

    const [first = ''] = ids
    await requeue(first)
    await receiver.killAndStartAgain()
    await requeue(first)
    expect(receiver.calls()).toEqual(['CAone', 'CAthree', 'CAtwo'])
    const attempts = await attemptsOf(database, first)
    expect(attempts.map(({ status_code }) => status_code)).toEqual([204, 204, 204])
    expect(receiver.lines.filter((line) => line.startsWith(first))).toEqual([
      `${first} handled`,
      `${first} seen before`,
      `${first} seen before`,
    ])
  })

  test('accepts a test event, and does nothing', async () => {
    const { business, secret, deliverTo } = await newBusiness()
    const receiver = await startExample(example, secret)
    await deliverTo(receiver.url)
    runDispatcher(database.url)
    const id = await enqueue(business, 'CAtest', 'callbox.test', '{"event_type":"callbox.test"}')
    await untilStatus(database, id, 'delivered')
    expect(receiver.remembered()).toEqual([id])
    expect(receiver.calls()).toEqual([])
  })

  test('goes on while the secret is replaced, with the former as with the new one', async () => {
    const { business, secret, deliverTo } = await newBusiness()
    const withFormer = await startExample(example, secret)
    await deliverTo(withFormer.url)
    const { signing_secret: newSecret } = await put(business, { signing_secret: null })
    expect(newSecret).not.toBe(secret)
    runDispatcher(database.url)
    await untilStatus(database, await completed(business, 'CAformer'), 'delivered')
    expect(withFormer.calls()).toEqual(['CAformer'])

    const withNew = await startExample(example, newSecret)
    await deliverTo(withNew.url)
    await untilStatus(database, await completed(business, 'CAnew'), 'delivered')
    expect(withNew.calls()).toEqual(['CAnew'])
  })

  test('an event that it could not handle is not remembered, and handled when it comes again', async () => {
    const { business, secret, deliverTo } = await newBusiness()
    const receiver = await startExample(example, secret)
    await deliverTo(receiver.url)
    const id = await completed(business, 'CAtaken')
    runDispatcher(database.url)
    await untilStatus(database, id, 'delivered')
    // The call is there already: adding it fails, as a database that is full would.
    const twin = await enqueue(business, 'CAtwin', 'call.completed', sample.replace(sampleCall, 'CAtaken'))
    await untilStatus(database, twin, 'failed')
    const statuses = (await attemptsOf(database, twin)).map(({ status_code }) => status_code)
    expect(new Set(statuses)).toEqual(new Set([500]))
    expect(receiver.remembered()).toEqual([id])
  })

  test('refuses with 401 what is forged, and remembers nothing of it', async () => {
    const { secret } = await newBusiness()
    const receiver = await startExample(example, secret)
    const id = '0198f2a4-0000-7000-8000-000000000001'
    const headersFor = (by: string, body: string, at: Date): Record<string, string> => ({
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
      'webhook-signature': new Webhook(by).sign(id, at, body),
    })
    const statusOf = async (headers: Record<string, string>, body: string | Buffer): Promise<number> =>
      (await fetch(receiver.url, { method: 'POST', headers, body })).status
    const now = new Date()
    const minutesOff = (minutes: number): Date => new Date(now.getTime() + minutes * 60_000)
    const good = headersFor(secret, sample, now)

    const another = `whsec_${Buffer.alloc(24, 9).toString('base64')}`
    expect(await statusOf(headersFor(another, sample, now), sample), 'another secret').toBe(401)
    expect(await statusOf(good, sample.replace('Assistant', 'Somebody')), 'another body').toBe(401)
    expect(await statusOf({ ...good, 'webhook-id': `${id}2` }, sample), 'another id').toBe(401)
    expect(await statusOf(headersFor(secret, sample, minutesOff(-6)), sample), 'too old').toBe(401)
    expect(await statusOf(headersFor(secret, sample, minutesOff(6)), sample), 'too new').toBe(401)
    expect(await statusOf({}, sample), 'no headers').toBe(401)
    for (const signature of ['', 'v1', 'v1,', 'v1,not base64', 'v2,AAAA', 'v1,a,b']) {
      expect(await statusOf({ ...good, 'webhook-signature': signature }, sample), signature).toBe(401)
    }
    expect(await statusOf({ ...good, 'webhook-timestamp': 'now' }, sample), 'no time').toBe(401)
    expect(await statusOf(good, Buffer.from([0xff, 0xfe])), 'no text').toBe(401)
    expect(receiver.remembered()).toEqual([])

    expect(await statusOf(good, sample)).toBe(204)
    expect(receiver.calls()).toEqual([sampleCall])
  })
})
