import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ReceivedPost, type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { judge } from './helpers/openapi.ts'
import { newWords, type Stage, setStage } from './helpers/pipeline.ts'

const fixture = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8')

let database: TestDatabase
let receiver: Receiver
let stage: Stage
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  receiver = await startReceiver()
  stage = await setStage(database)
  api = await startAdminApi(database)
  const secret = await putBusiness(database, '10', { inbound: `${receiver.url}/in`, outbound: `${receiver.url}/out` })
  receiver.endpoint('/in', secret)
  receiver.endpoint('/out', secret)
})
afterAll(() => receiver.close())

const complaintAbout = ({ headers, body }: ReceivedPost): string | null =>
  judge.complaintAboutWebhook((name) => headers[name]?.toString() ?? null, body.toString())

const untilPosted = (path: string, event: string, count: number): Promise<ReceivedPost[]> =>
  eventually(`${count} posts of ${event} at ${path}`, () => {
    const posts = receiver.posts.filter((post) => post.path === path && JSON.parse(`${post.body}`).event_type === event)
    return posts.length >= count && posts
  })

test('what the pipeline and the dispatcher send is as the document says, on every attempt', async () => {
  receiver.answers.queue('/in', { status: 500 })
  await stage.start()
  runDispatcher(database.url)
  await stage.record(newWords())
  await stage.record({ transcript: '' }, { direction: 'outbound', to_number: 'client:bob' })
  const posts = [
    ...(await untilPosted('/in', 'call.completed', 2)),
    ...(await untilPosted('/out', 'call.completed', 1)),
  ]
  expect(posts.map(complaintAbout)).toEqual([null, null, null])
})

test('with two signatures while a secret rotates', async () => {
  expect((await api.send('PUT', '/admin/businesses/10', { signing_secret: null })).status).toBe(200)
  runDispatcher(database.url)
  await api.send('POST', '/admin/businesses/10/test-events', { direction: 'outbound' })
  const [post] = await untilPosted('/out', 'callbox.test', 1)
  expect(post?.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/)
  expect(post && complaintAbout(post)).toBeNull()
})

test('the example of call.completed is the sample of the contract, byte for byte', () => {
  const example = judge.webhooks['call.completed']?.['post']?.requestBody?.content['application/json']?.example
  expect(JSON.stringify(example)).toBe(fixture)
})

test('a payload with a key more, a key less, another type or another order is not as the document says', () => {
  const sample = JSON.parse(fixture)
  const { metadata: _, ...without } = sample
  const { event_type: type, ...rest } = sample
  const complaint = (event: object): string | null => {
    const headers: Record<string, string> = {
      ...{ 'content-type': 'application/json', 'webhook-id': '965071f9-51c0-820f-89d2-4315d6738afd' },
      ...{ 'webhook-timestamp': '1765376625', 'webhook-signature': `v1,${'A'.repeat(43)}=` },
    }
    return judge.complaintAboutWebhook((name) => headers[name] ?? null, JSON.stringify(event))
  }
  expect(complaint(sample)).toBeNull()
  expect(complaint({ ...sample, more: '' })).toContain('additional properties')
  expect(complaint(without)).toContain("required property 'metadata'")
  expect(complaint({ ...sample, city: null })).toContain('/city must be string')
  expect(complaint({ ...sample, started_at: '2025-12-10T14:23:19.5Z' })).not.toBeNull()
  expect(complaint({ ...rest, event_type: type })).toContain('another order')
})
