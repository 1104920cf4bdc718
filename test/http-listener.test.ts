import { once } from 'node:events'
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { listenHttp } from '../src/telemetry/http-listener.ts'
import { eventually } from './helpers/eventually.ts'

/** A listener whose answers are given by the test, and a client that keeps its connections. */
async function open() {
  const waiting: { request: IncomingMessage; response: ServerResponse }[] = []
  const listener = await listenHttp((request, response) => void waiting.push({ request, response }), 0)
  const agent = new Agent({ keepAlive: true })
  onTestFinished(() => agent.destroy())
  const ask = async (headers: Record<string, string> = {}): Promise<IncomingMessage> => {
    const [answer] = (await once(get({ port: listener.port, agent, headers }), 'response')) as [IncomingMessage]
    return answer
  }
  const arrived = (count: number): Promise<{ response: ServerResponse }> =>
    eventually(`${count} requests have arrived`, () => waiting.length === count && waiting[count - 1])
  return { listener, ask, arrived }
}

test('what is under way when it stops is answered, and its connection closed', async () => {
  const { listener, ask, arrived } = await open()
  const answer = ask()
  const { response } = await arrived(1)
  const stopped = listener.stop()
  await expect(ask()).rejects.toThrow('ECONNREFUSED')
  response.end('answered')
  expect(await text(await answer)).toBe('answered')
  expect((await answer).headers.connection).toBe('close')
  await stopped
})

test('an answer that has begun is finished', async () => {
  const { listener, ask, arrived } = await open()
  const answer = ask()
  const { response } = await arrived(1)
  response.write('first half, ')
  const began = await answer
  const stopped = listener.stop()
  response.end('second half')
  expect(await text(began)).toBe('first half, second half')
  await stopped
})

test('an event stream, which would never end, is ended', async () => {
  const { listener, ask, arrived } = await open()
  const stream = ask({ accept: 'text/event-stream' })
  const { response } = await arrived(1)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write('data: 1\n\n')
  const began = await stream
  await listener.stop()
  expect(await text(began)).toBe('data: 1\n\n')
})

test('before it stops it can shed its clients: each is answered, and comes again on a new connection', async () => {
  const { listener, ask, arrived } = await open()
  for (const [count, expected] of [
    [1, 'keep-alive'],
    [2, 'close'],
    [3, 'close'],
  ] as const) {
    const answer = ask()
    const { response } = await arrived(count)
    response.end()
    expect((await answer).headers.connection).toBe(expected)
    await text(await answer)
    listener.shedConnections()
  }
  await listener.stop()
})
