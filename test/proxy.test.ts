import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { attemptsOf, enqueue, untilStatus } from './helpers/outbox.ts'

let database: TestDatabase
let receiver: Receiver
const tunnels: string[] = []
const proxy = createServer()

beforeAll(async () => {
  database = await createTestDatabase()
  receiver = await startReceiver()
  proxy.on('connect', (request, client) => {
    tunnels.push(request.url ?? '')
    const upstream = connect(receiver.port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      upstream.pipe(client).pipe(upstream)
    })
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
})
afterAll(async () => {
  proxy.close()
  await receiver.close()
})

test('with WEBHOOK_PROXY_URL the proxy resolves the name; variables of the environment are not used', async () => {
  const address = proxy.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  process.env['HTTP_PROXY'] = 'http://127.0.0.1:1'
  const secret = await putBusiness(database, '10', { inbound: 'http://n8n.internal:81/ten' })
  receiver.endpoint('/ten', secret)
  const settings = { WEBHOOK_PROXY_URL: `http://127.0.0.1:${address.port}`, WEBHOOK_ALLOWED_NETWORKS: '' }
  runDispatcher(database.url, settings)
  await untilStatus(database, await enqueue(database, '10', 'CA1'), 'delivered')
  expect(tunnels).toEqual(['n8n.internal:81'])
  expect(receiver.posts.map((post) => post.verified)).toEqual([true])
})

test.each([
  ['refuses', 'the proxy: it answered 403 to CONNECT'],
  ['is not there', 'the proxy: connect ECONNREFUSED'],
])('a proxy that %s is what the attempt tells of', async (what, says) => {
  const refusing = createServer()
  refusing.on('connect', (_request, client) => client.end('HTTP/1.1 403 Forbidden\r\n\r\n'))
  await once(refusing.listen(0, '127.0.0.1'), 'listening')
  const { port } = refusing.address() as AddressInfo
  if (what === 'is not there') refusing.close()
  onTestFinished(() => void refusing.close())
  const own = await createTestDatabase()
  await putBusiness(own, '10', { inbound: 'http://n8n.internal:81/ten' })
  const settings = { WEBHOOK_PROXY_URL: `http://127.0.0.1:${port}`, WEBHOOK_RETRY_SCHEDULE: '1ms' }
  runDispatcher(own.url, settings)
  const id = await enqueue(own, '10', 'CA1')
  await untilStatus(own, id, 'failed')
  const [attempt] = await attemptsOf(own, id)
  expect(attempt).toMatchObject({ result: 'connect', error: expect.stringContaining(says) })
})
