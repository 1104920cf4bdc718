import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ReceivedPost, type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue } from './helpers/outbox.ts'

const readme = readFileSync(new URL('../examples/zapier/README.md', import.meta.url), 'utf8')
const code = /```js\n(.*?)```/s.exec(readme)?.[1] ?? ''
const sample = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8')

/** Storage by Zapier with its documented limits: 500 keys, each shorter than 32 characters, with less than 2,500 bytes. */
class Storage {
  readonly values = new Map<string, string>()

  async get(key: string): Promise<unknown> {
    const value = this.values.get(key)
    return value === undefined ? null : JSON.parse(value)
  }

  async set(key: string, value: unknown): Promise<void> {
    const text = JSON.stringify(value)
    if (key.length >= 32 || Buffer.byteLength(text) >= 2_500) throw new Error('over a limit of Storage by Zapier')
    this.values.set(key, text)
    if (this.values.size > 500) throw new Error('more keys than Storage by Zapier takes')
  }
}

// biome-ignore lint/complexity/useArrowFunction: its constructor is the one of functions with `await`.
const AsyncFunction = Object.getPrototypeOf(async function () {}).constructor
const run: (
  inputData: Record<string, string>,
  StoreClient: (secret: string) => Storage,
  require: NodeJS.Require,
) => Promise<Record<string, unknown>> = new AsyncFunction('inputData', 'StoreClient', 'require', code)

/** Runs the step as Zapier does: every input is text. */
const step = (inputData: Record<string, string>, storage: Storage) =>
  run(inputData, () => storage, createRequire(import.meta.url))

let database: TestDatabase
let receiver: Receiver
beforeAll(async () => {
  database = await createTestDatabase()
  receiver = await startReceiver()
})
afterAll(() => receiver.close())

const inputOf = ({ headers, body }: ReceivedPost, secret: string): Record<string, string> => ({
  body: body.toString('utf8'),
  id: String(headers['webhook-id']),
  timestamp: String(headers['webhook-timestamp']),
  signature: String(headers['webhook-signature']),
  secret,
  store: randomUUID(),
})

/** The input of one call that a real dispatcher has posted. */
async function postedCall(business: string): Promise<Record<string, string>> {
  const secret = await putBusiness(database, business, { inbound: `${receiver.url}/${business}` })
  receiver.endpoint(`/${business}`, secret)
  runDispatcher(database.url)
  const id = await enqueue(database, business, 'CA1', 'inbound', sample)
  const post = await eventually('it is posted', () => receiver.posts.find(({ webhookId }) => webhookId === id))
  return inputOf(post, secret)
}

test('a call is verified and new, once, and its fields are there for the next steps', async () => {
  const input = await postedCall('1')
  const storage = new Storage()
  expect(await step(input, storage)).toEqual({ verified: true, is_new: true, ...JSON.parse(sample) })
  expect(await step(input, storage)).toMatchObject({ verified: true, is_new: false })
})

test('either of two signatures is enough, and what is forged or old is not verified, and not remembered', async () => {
  const input = await postedCall('2')
  const storage = new Storage()
  const refused = { verified: false, is_new: false }
  for (const changed of [
    { body: sample.replace('Assistant', 'Somebody') },
    { id: randomUUID() },
    { timestamp: String(Number(input['timestamp']) - 1) },
    { timestamp: 'now' },
    { secret: `whsec_${randomBytes(24).toString('base64')}` },
    { signature: '' },
    { signature: 'v1' },
    { signature: `v1a,${input['signature']?.slice(3)}` },
  ]) {
    expect(await step({ ...input, ...changed }, storage), JSON.stringify(changed)).toEqual(refused)
  }
  expect(await step({}, storage)).toEqual(refused)
  expect(storage.values.size).toBe(0)

  const another = `v1,${randomBytes(32).toString('base64')}`
  expect(await step({ ...input, signature: `${another} ${input['signature']}` }, storage)).toMatchObject({
    verified: true,
  })
})

test('what it remembers stays within the limits of Storage by Zapier', async () => {
  const secret = `whsec_${randomBytes(24).toString('base64')}`
  const storage = new Storage()
  const at = new Date()
  const inputFor = (n: number, firstDigits: number): Record<string, string> => {
    const id = firstDigits.toString(16).padStart(2, '0') + String(n).padStart(6, '0') + randomUUID().slice(8)
    const signature = new Webhook(secret).sign(id, at, '{}')
    return { body: '{}', id, timestamp: String(Math.floor(at.getTime() / 1000)), signature, secret, store: 'a UUID' }
  }
  for (let digits = 0; digits < 256; digits += 1) await step(inputFor(0, digits), storage)
  expect(storage.values.size).toBe(256)
  const inputs = Array.from({ length: 100 }, (_, n) => inputFor(n, 7))
  for (const input of inputs) expect(await step(input, storage)).toMatchObject({ is_new: true })
  for (const input of inputs.slice(-60)) expect(await step(input, storage)).toMatchObject({ is_new: false })
})
