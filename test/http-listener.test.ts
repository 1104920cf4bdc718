import { once } from 'node:events'
import { Agent, get, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import express from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'
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

/** What is answered on a connection until it is closed, and how long that took. */
async function converse(port: number, parts: string[], everyMs: number): Promise<{ answer: string; ms: number }> {
  const beganMs = performance.now()
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined)
  const sending = setInterval(() => {
    const part = parts.shift()
    if (part !== undefined && socket.writable) socket.write(part)
  }, everyMs)
  try {
    return { answer: await text(socket).catch(() => ''), ms: performance.now() - beganMs }
  } finally {
    clearInterval(sending)
  }
}

const head = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
test.each([
  ['headers that come one by one', ['GET / HTTP/1.1\r\nHost: x\r\n', ...Array(200).fill('X-Slow: 1\r\n')]],
  ['a body that comes byte by byte', [`${head}Content-Length: 1000\r\n\r\n`, ...Array(200).fill(' ')]],
  ['a chunked body without an end', [`${head}Transfer-Encoding: chunked\r\n\r\n`, ...Array(200).fill('1\r\n \r\n')]],
  ['a body that never comes', [`${head}Content-Length: 1000\r\n\r\n`]],
  ['nothing at all', []],
])('the time limit covers the whole request: %s', async (_, parts) => {
  const app = express().use(express.json(), (_request, response) => void response.end('answered'))
  const listener = await listenHttp(app, 0, 400)
  const { answer, ms } = await converse(listener.port, [...parts], 20)
  // A client that still sends when its connection is closed may lose the answer to a reset.
  expect(answer).toMatch(/^(HTTP\/1\.1 408 Request Timeout\r\n.*)?$/s)
  expect(ms).toBeGreaterThan(350)
  await listener.stop()
})

test('a request that arrives in time may be answered late', async () => {
  const answered = Promise.withResolvers<void>()
  const listener = await listenHttp(
    (request, response) => {
      request.resume().once('end', () => void answered.promise.then(() => response.end('late')))
    },
    0,
    100,
  )
  setTimeout(answered.resolve, 500)
  const { answer } = await converse(listener.port, [`${head}Connection: close\r\nContent-Length: 2\r\n\r\n{}`], 1)
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK.*late/s)
  await listener.stop()
})

describe('a request target', () => {
  const ask = async (target: string): Promise<string> => {
    const listener = await listenHttp((request, response) => {
      response.end(JSON.stringify([request.url, request.headers.host]))
    }, 0)
    const { answer } = await converse(
      listener.port,
      [`GET ${target} HTTP/1.1\r\nHost: header.example\r\nConnection: close\r\n\r\n`],
      1,
    )
    await listener.stop()
    return answer
  }

  test.each([
    ['/path?a=b%2F', '/path?a=b%2F', 'header.example'],
    ['http://callbox.example/path?a=b%2F', '/path?a=b%2F', 'callbox.example'],
    ['HTTPS://callbox.example:8443//path', '//path', 'callbox.example:8443'],
    ['http://callbox.example', '/', 'callbox.example'],
    ['http://callbox.example?a=b', '/?a=b', 'callbox.example'],
    ['http://[::1]:8080/path', '/path', '[::1]:8080'],
    ['//other.example/path', '//other.example/path', 'header.example'],
  ])('%s is served as its path and host', async (target, path, host) => {
    const answer = await ask(target)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain(JSON.stringify([path, host]))
  })

  test.each([
    'ftp://callbox.example/path',
    'http://user@callbox.example/path',
    'http:///path',
    'http://u:p@callbox.example/',
  ])('%s is refused with the reason', async (target) => {
    const answer = await ask(target)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('expected a path, or an http or https URL without a user name')
  })
})
