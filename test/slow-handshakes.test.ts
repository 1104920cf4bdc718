import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { AddressGuard } from '../src/dispatcher/sending/address-guard.ts'
import { Poster } from '../src/dispatcher/sending/post.ts'
import { NameResolver } from '../src/dispatcher/sending/resolve-name.ts'
import { dnsLookup, startDnsServer } from './helpers/dns-server.ts'
import { startFullListener } from './helpers/full-listener.ts'

const names = await startDnsServer()
afterAll(() => names.close())

/** The test's DNS client lists A before AAAA: the slow address is tried first, as where IPv6 has no route. */
function posterWithin(timeoutMs: number): Poster {
  const allowedNetworks = ['127.0.0.0/8', '::1/128']
  const poster = new Poster(
    new AddressGuard({ allowedNetworks }, new NameResolver(dnsLookup(names))),
    timeoutMs,
    null,
    () => null,
  )
  onTestFinished(() => poster.close())
  return poster
}

const request = (url: string) => ({ url, headers: [], body: Buffer.from('{}') })

test('a receiver with a handshake of one second is reached, although its other address is a black hole', async () => {
  const slow = await startFullListener('127.0.0.1')
  const hole = await startFullListener('::1', slow.port)
  onTestFinished(async () => {
    await Promise.all([slow.close(), hole.close()])
  })
  names.answers.set('far.example', [['127.0.0.1', '::1']])
  const posted = posterWithin(15_000).post(request(`http://far.example:${slow.port}/`))
  await slow.untilKnockedOn()
  slow.open()
  expect(await posted).toMatchObject({ result: 'ok', statusCode: 200, error: null })
})

test('a receiver behind a black hole is reached by its next address', async () => {
  const hole = await startFullListener('127.0.0.2')
  const server = createServer((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'))
  await once(server.listen(hole.port, '127.0.0.1'), 'listening')
  onTestFinished(async () => {
    server.close()
    await hole.close()
  })
  names.answers.set('half.example', [['127.0.0.2', '127.0.0.1']])
  expect(await posterWithin(15_000).post(request(`http://half.example:${hole.port}/`))).toMatchObject({ result: 'ok' })
  // However short the attempt is, the first address does not use up all of it.
  expect(await posterWithin(900).post(request(`http://half.example:${hole.port}/`))).toMatchObject({ result: 'ok' })
})

test('where no address is reached, the attempt has each address and reason, and its own duration', async () => {
  const hole = await startFullListener('127.0.0.1')
  onTestFinished(() => hole.close())
  names.answers.set('gone.example', [['127.0.0.1', '127.0.0.2']])
  const { result, error, durationMs } = await posterWithin(15_000).post(request(`http://gone.example:${hole.port}/`))
  expect(result).toBe('timeout')
  expect(error).toBe(
    `no connection: no answer from 127.0.0.1:${hole.port}; connect ECONNREFUSED 127.0.0.2:${hole.port}`,
  )
  expect(durationMs).toBeGreaterThanOrEqual(1_900)
  expect(durationMs).toBeLessThan(15_000)
})

test.each([['127.0.0.1'], ['127.0.0.1', '127.0.0.2']])(
  'a black hole alone takes the whole attempt: %s',
  async (...list) => {
    const hole = await startFullListener('127.0.0.1')
    const other = await startFullListener('127.0.0.2', hole.port)
    onTestFinished(async () => {
      await Promise.all([hole.close(), other.close()])
    })
    names.answers.set('void.example', [list])
    const result = await posterWithin(500).post(request(`http://void.example:${hole.port}/`))
    expect(result).toMatchObject({ result: 'timeout', statusCode: null, error: 'no connection within 500 ms' })
  },
)

test('a name that is not resolved in time is what the attempt says', async () => {
  names.answers.set('silent.example', 'silence')
  const result = await posterWithin(300).post(request('http://silent.example/'))
  expect(result).toMatchObject({ result: 'timeout', error: 'the name was not resolved within 300 ms' })
})
