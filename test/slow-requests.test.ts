import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { signCallback } from '../src/demo/twilio-callbacks.ts'
import { createTestDatabase } from './helpers/database.ts'
import { startProcess } from './helpers/processes.ts'
import { account, newCall, publicUrl, statusCallback } from './helpers/twilio.ts'

const adminToken = 'a-token-for-this-test'
const database = await createTestDatabase()

async function startApi(): Promise<number> {
  const service = startProcess(['api'], database.url, {
    PORT: '0',
    ADMIN_TOKEN: adminToken,
    PUBLIC_URL: publicUrl,
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
  })
  const { port } = await service.untilLogged('service.listening')
  await service.ready()
  return Number(port)
}

const { kind, params } = statusCallback(newCall())
const signed = signCallback(account.authToken, `${publicUrl}/webhook/${kind}`, params)
const headerLines = (headers: Record<string, string>): string =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')

test('a request to the service must arrive within 30 s, on any path and however it is slow', async () => {
  const port = await startApi()
  const heads = {
    headers: 'GET /healthz HTTP/1.1\r\nHost: x\r\n',
    'a callback': `POST /webhook/${kind} HTTP/1.1\r\nHost: x\r\n${headerLines(signed.headers)}Content-Length: 1000\r\n\r\n`,
    'the admin API': `PUT /admin/businesses/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${adminToken}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n`,
    'the console': `POST /console/sign-in HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n`,
  }
  const beganMs = performance.now()
  const answers = Object.entries(heads).map(async ([name, head]) => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    await once(socket, 'connect')
    socket.write(head)
    const dribble = setInterval(() => socket.writable && socket.write(name === 'headers' ? 'X-Slow: 1\r\n' : ' '), 500)
    // A client that still sends when its connection is closed may lose the answer to a reset.
    const answer = await text(socket).catch(() => 'HTTP/1.1 408 Request Timeout')
    clearInterval(dribble)
    return [name, answer.split('\r\n')[0], Math.round((performance.now() - beganMs) / 10_000)]
  })
  const expected = Object.keys(heads).map((name) => [name, 'HTTP/1.1 408 Request Timeout', 3])
  expect(await Promise.all(answers)).toEqual(expected)
})

test('a signed callback with an absolute request line is stored', async () => {
  const port = await startApi()
  const socket = connect(port, '127.0.0.1')
  const head = `POST ${publicUrl}/webhook/${kind} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headerLines(signed.headers)}`
  socket.write(`${head}Content-Length: ${Buffer.byteLength(signed.body)}\r\n\r\n${signed.body}`)
  expect((await text(socket)).split('\r\n')[0]).toBe('HTTP/1.1 204 No Content')
})
