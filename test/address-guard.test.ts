import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { customHeaders } from '../src/admin/schemas/custom-headers.ts'
import { AddressGuard } from '../src/dispatcher/sending/address-guard.ts'
import { Poster, type PostResult } from '../src/dispatcher/sending/post.ts'
import { NameResolver } from '../src/dispatcher/sending/resolve-name.ts'
import {
  forbiddenV4,
  forbiddenV6,
  isInV4,
  isInV6,
  plumbingV4,
  plumbingV6,
  v4In,
  v4Spelling,
  v4Within,
  v6In,
  v6Text,
} from './helpers/addresses.ts'
import { dnsLookup, startDnsServer } from './helpers/dns-server.ts'
import { startRawEndpoint } from './helpers/raw-endpoint.ts'

const names = await startDnsServer()
afterAll(() => names.close())

const seen: { host: string; path: string; connection: unknown }[] = []
let answer = (_request: IncomingMessage, response: ServerResponse): void => void response.end('seen')
beforeEach(() => {
  seen.length = 0
  names.questions.length = 0
  answer = (_request, response) => void response.end('seen')
})

const servers: Server[] = []
async function listen(host: string, port: number): Promise<number> {
  const server = createServer((request, response) => {
    seen.push({ host, path: request.url ?? '', connection: request.socket })
    answer(request, response)
  })
  servers.push(server)
  server.listen(port, host)
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
const port = await listen('127.0.0.1', 0)
for (const host of ['127.0.0.2', '::1']) await listen(host, port)
afterAll(() => {
  for (const server of servers) {
    server.close()
    server.closeAllConnections()
  }
})

function posterThatMay(...networks: string[]): Poster {
  return new Poster(
    new AddressGuard({ allowedNetworks: networks }, new NameResolver(dnsLookup(names))),
    2_000,
    null,
    () => null,
  )
}
const strict = posterThatMay()
const toLoopback = posterThatMay('127.0.0.1/32')
afterAll(() => Promise.all([strict.close(), toLoopback.close()]))

const post = (poster: Poster, url: string, headers: string[] = []): Promise<PostResult> =>
  poster.post({ url, headers, body: Buffer.from('{}') })

const guard = new AddressGuard({ allowedNetworks: [] })

describe('the addresses', () => {
  test.each(forbiddenV4)('none of %s is permitted, mapped neither', (network) => {
    fc.assert(
      fc.property(v4In(network), (octets) => {
        const dotted = octets.join('.')
        expect([dotted, guard.permits(dotted), guard.permits(`::ffff:${dotted}`)]).toEqual([dotted, false, false])
      }),
    )
  })

  test('a mapped address is the IPv4 address that it carries; a compatible one, of old, leads nowhere', () => {
    fc.assert(
      fc.property(v4In('8.0.0.0/8'), (octets) => {
        expect(guard.permits(`::ffff:${octets.join('.')}`)).toBe(true)
        expect(guard.permits(`::${octets.join('.')}`)).toBe(false)
      }),
    )
  })

  test.each(forbiddenV6)('none of %s is permitted, with a zone neither', (network) => {
    fc.assert(
      fc.property(v6In(network), (groups) => {
        const text = v6Text(groups)
        expect([text, guard.permits(text), guard.permits(`${text}%eth0`)]).toEqual([text, false, false])
      }),
    )
  })

  test('every other IPv4 address is permitted', () => {
    const isPublic = (octets: number[]) => ![...forbiddenV4, ...plumbingV4].some((network) => isInV4(network, octets))
    const addresses = v4In('0.0.0.0/0').filter(isPublic)
    const property = fc.property(addresses, (octets) => guard.permits(octets.join('.')))
    fc.assert(property, { numRuns: 2_000 })
  })

  test('every other address of 2000::/3 is permitted, and none outside', () => {
    const isPublic = (groups: number[]) => ![...forbiddenV6, ...plumbingV6].some((network) => isInV6(network, groups))
    const addresses = v6In('2000::/3').filter(isPublic)
    const property = fc.property(addresses, (groups) => guard.permits(v6Text(groups)))
    fc.assert(property, { numRuns: 2_000 })
    const mapped = (groups: number[]) => isInV6('::ffff:0:0/96', groups)
    const outside = v6In('::/0').filter((groups) => !isInV6('2000::/3', groups) && !mapped(groups))
    fc.assert(fc.property(outside, (groups) => !guard.permits(v6Text(groups))))
  })

  test('what is no address is not permitted', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !guard.permits(text)))
    for (const text of ['', '127.1', '0x7f000001', '8.8.8.8.', ' 8.8.8.8', '8.8.8.8/32', 'localhost', '[2600::1]'])
      expect(guard.permits(text)).toBe(false)
  })

  test('a chosen network is let through, and nothing beside it', () => {
    const networks = fc.tuple(v4In('10.0.0.0/8'), fc.integer({ min: 9, max: 32 }))
    fc.assert(
      fc.property(networks, v4In('10.0.0.0/8'), ([base, bits], octets) => {
        const network = `${base.join('.')}/${bits}`
        const chosen = new AddressGuard({ allowedNetworks: [network] })
        const inside = isInV4(network, octets)
        expect(chosen.permits(base.join('.'))).toBe(true)
        expect(chosen.permits(octets.join('.'))).toBe(inside)
        expect(chosen.permits(`::ffff:${octets.join('.')}`)).toBe(inside)
      }),
    )
    const chosen = new AddressGuard({ allowedNetworks: ['fd00:1::/32', '10.1.0.0/16'] })
    expect(['fd00:1::5', 'fd00:2::5', '10.1.2.3', '10.2.0.1', '::1'].map((text) => chosen.permits(text))).toEqual([
      true,
      false,
      true,
      false,
      false,
    ])
  })
})

/** Through the URL parser, the client and the connector, as a delivery goes. */
describe('the real path', () => {
  const urlsTo = (host: string): string[] => [
    `http://${host}:${port}/`,
    `HTTP://${host}:${port}/`,
    `https://${host}:${port}/`,
    `http:\\\\${host}:${port}/`,
    `http:///${host}:${port}/`,
    `http://public.example@${host}:${port}/`,
    `http://public.example:80@${host}:${port}/@public.example`,
    `http://${host}:${port}\\@public.example/`,
    `http://${host}:${port}#@public.example/`,
    `http://${host}:${port}?@public.example/`,
    ` http://${host}:${port}/ `,
  ]

  /** Nothing may be sent; what the URL parser takes must have been refused for its address. */
  async function isRefused(url: string): Promise<void> {
    const { result, error, statusCode } = await post(strict, url)
    expect({ url, result, statusCode }).toEqual({ url, result: 'blocked', statusCode: null })
    if (URL.canParse(url)) expect(error).toContain('is not a public address')
    expect(seen).toEqual([])
  }

  test('an address that may be reached is reached: the server is there', async () => {
    expect(await post(toLoopback, `http://127.0.0.1:${port}/there`)).toMatchObject({ result: 'ok', statusCode: 200 })
    const both = posterThatMay('127.0.0.0/8', '::1/128')
    onTestFinished(() => both.close())
    expect(await post(both, `http://[::1]:${port}/there`)).toMatchObject({ result: 'ok' })
    expect(seen.map(({ host }) => host)).toEqual(['127.0.0.1', '::1'])
  })

  test('every spelling of loopback', async () => {
    const hosts = fc.constantFrom([127, 0, 0, 1], [127, 0, 0, 2], [0, 0, 0, 0]).chain(v4Spelling)
    const urls = hosts.chain((host) => fc.constantFrom(...urlsTo(host)))
    await fc.assert(fc.asyncProperty(urls, isRefused), { numRuns: 500 })
    for (const host of [...v4Within([127, 0, 0, 1]), '[::1]', '[0:0:0:0:0:0:0:1]', '[::]']) {
      for (const url of urlsTo(host)) await isRefused(url)
    }
  })

  test('every spelling of every forbidden IPv4 range', async () => {
    const addresses = fc.constantFrom(...forbiddenV4).chain(v4In)
    const hosts = addresses.chain((octets) => fc.oneof(v4Spelling(octets), fc.constantFrom(...v4Within(octets))))
    const urls = hosts.map((host) => `http://${host}:${port}/`)
    await fc.assert(fc.asyncProperty(urls, isRefused), { numRuns: 500 })
  })

  test('every forbidden IPv6 range', async () => {
    const addresses = fc
      .constantFrom(...forbiddenV6)
      .chain(v6In)
      .map(v6Text)
    const texts = fc.tuple(addresses, fc.boolean()).map(([text, upper]) => (upper ? text.toUpperCase() : text))
    const urls = fc.tuple(texts, fc.constantFrom('', '%eth0', '%25lo', '%251'))
    await fc.assert(
      fc.asyncProperty(urls, ([text, zone]) => isRefused(`http://[${text}${zone}]:${port}/`)),
      { numRuns: 500 },
    )
  })

  test.each(['localhost', 'LOCALHOST', 'ⓛocalhost', '%6cocalhost', 'ｌｏｃａｌｈｏｓｔ'])(
    'the name %s',
    async (name) => {
      for (const url of [`http://${name}:${port}/`, `https://${name}:${port}/`]) await isRefused(url)
    },
  )

  test('a name of permitted and forbidden addresses, in any order: only the permitted one is used', async () => {
    const forbidden = fc.oneof(
      fc
        .constantFrom(...forbiddenV4)
        .chain(v4In)
        .map((octets) => octets.join('.')),
      fc
        .constantFrom(...forbiddenV6)
        .chain(v6In)
        .map(v6Text),
      fc.constantFrom('127.0.0.2', '::1', '::ffff:7f00:2'),
    )
    const lists = fc
      .uniqueArray(forbidden, { minLength: 1, maxLength: 4 })
      .map((list) => list.filter((address) => address !== '127.0.0.1' && address !== '::ffff:7f00:1'))
      .chain((bad) => fc.shuffledSubarray(['127.0.0.1', ...bad], { minLength: bad.length + 1 }))
    answer = (_request, response) => void response.writeHead(200, { connection: 'close' }).end()
    await fc.assert(
      fc.asyncProperty(lists, async (list) => {
        seen.length = 0
        names.answers.set('mixed.example', [list])
        expect(await post(toLoopback, `http://mixed.example:${port}/`)).toMatchObject({ result: 'ok' })
        expect(seen.map(({ host }) => host)).toEqual(['127.0.0.1'])
      }),
    )
  })

  test('a name of forbidden addresses alone', async () => {
    names.answers.set('inside.example', [['127.0.0.2', '10.0.0.1', '::1', '64:ff9b::7f00:1']])
    await isRefused(`http://inside.example:${port}/`)
  })

  test('one lookup a connection, and each connection its own check', async () => {
    answer = (_request, response) => void response.writeHead(200, { connection: 'close' }).end()
    names.answers.set('rebound.example', [['127.0.0.1'], ['127.0.0.2']])
    const url = `http://rebound.example:${port}/`
    expect(await post(toLoopback, url)).toMatchObject({ result: 'ok' })
    expect(seen.map(({ host }) => host)).toEqual(['127.0.0.1'])
    expect(names.questions).toEqual(['rebound.example'])
    expect(await post(toLoopback, url)).toMatchObject({ result: 'blocked' })
    expect(seen.length).toBe(1)
  })

  test('a connection that is kept stays with the address that was checked', async () => {
    names.answers.set('kept.example', [['127.0.0.1'], ['127.0.0.2']])
    for (let n = 0; n < 3; n += 1) {
      // The client has the connection back a moment after the answer's end.
      await new Promise((resolve) => setImmediate(resolve))
      expect(await post(toLoopback, `http://kept.example:${port}/${n}`)).toMatchObject({ result: 'ok' })
    }
    expect(seen.map(({ host }) => host)).toEqual(['127.0.0.1', '127.0.0.1', '127.0.0.1'])
    expect(names.questions).toEqual(['kept.example'])
  })

  test('a tenant cannot borrow a connection to an address that another may not reach', async () => {
    // Connections are shared by origin; an origin is a host and a port, so what one may not reach no other has open.
    names.answers.set('first.example', [['127.0.0.1']])
    names.answers.set('second.example', [['127.0.0.2']])
    expect(await post(toLoopback, `http://first.example:${port}/`)).toMatchObject({ result: 'ok' })
    for (const headers of [[], ['host', `first.example:${port}`]]) {
      expect(await post(toLoopback, `http://second.example:${port}/`, headers)).toMatchObject({ result: 'blocked' })
    }
    expect(seen.length).toBe(1)
  })
})

describe('names', () => {
  test('servers that do not answer hold up no other name', async () => {
    const poster = posterOfTest('127.0.0.0/8')
    const silent = Array.from({ length: 32 }, (_, n) => `silent-${n}.example`)
    for (const name of silent) names.answers.set(name, 'silence')
    const waiting = new Set(silent)
    const results = silent.map(async (name) => {
      const { result } = await post(poster, `http://${name}:${port}/`)
      waiting.delete(name)
      return result
    })
    names.answers.set('quick.example', [['127.0.0.1']])
    for (const name of ['quick.example', 'localhost']) {
      expect(await post(poster, `http://${name}:${port}/`)).toMatchObject({ result: 'ok' })
    }
    expect(waiting.size).toBe(32)
    expect(new Set(await Promise.all(results))).toEqual(new Set(['timeout']))
  })

  test('a name that DNS does not have, or has without an address, is a failure of DNS', async () => {
    names.answers.set('empty.example', [[]])
    for (const name of ['empty.example', 'unknown.example']) {
      expect(await post(toLoopback, `http://${name}:${port}/`)).toMatchObject({ result: 'dns' })
    }
  })

  test('those who ask for a name at the same time are answered at once', async () => {
    names.answers.set('shared.example', [['127.0.0.1']])
    const poster = posterOfTest('127.0.0.1/32')
    const posts = Array.from({ length: 8 }, (_, n) => post(poster, `http://shared.example:${port}/${n}`))
    expect((await Promise.all(posts)).map(({ result }) => result)).toEqual(Array(8).fill('ok'))
    expect(names.questions).toEqual(['shared.example'])
  })
})

describe('the answer', () => {
  test('a redirect to a private address is not followed', async () => {
    for (const status of [301, 302, 303, 307, 308]) {
      answer = (_request, response) => void response.writeHead(status, { location: `http://127.0.0.2:${port}/` }).end()
      expect(await post(posterOfTest('127.0.0.0/8'), `http://127.0.0.1:${port}/`)).toMatchObject({
        result: 'http_error',
        statusCode: status,
      })
    }
    expect(seen.map(({ host }) => host)).toEqual(Array(5).fill('127.0.0.1'))
  })

  test('a compressed answer is kept as it came', async () => {
    const bomb = gzipSync(Buffer.alloc(32 * 1024 * 1024))
    let accepts: string | undefined
    answer = (request, response) => {
      accepts = request.headers['accept-encoding']
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb)
    }
    const { result, excerpt } = await post(toLoopback, `http://127.0.0.1:${port}/bomb`)
    expect(result).toBe('ok')
    expect(excerpt).toEqual(bomb.subarray(0, 2_048))
    expect(accepts).toBeUndefined()
  })

  test('an answer without end is not read on', async () => {
    let closed = false
    answer = (_request, response) => {
      response.once('close', () => {
        closed = true
      })
      const page = Buffer.alloc(65_536, 'x')
      const more = (): void => {
        if (!closed) response.write(page, () => setImmediate(more))
      }
      more()
    }
    const { result, excerpt } = await post(toLoopback, `http://127.0.0.1:${port}/endless`)
    expect([result, excerpt?.length]).toEqual(['ok', 2_048])
    await expect.poll(() => closed).toBe(true)
  })

  test('a second answer on the same connection is nobody’s', async () => {
    const one = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n'
    const answers = new Map([
      ['/first', (socket: import('node:net').Socket) => void socket.write(`${one}one${one}two`)],
      ['/next', (socket: import('node:net').Socket) => void socket.write(`${one}own`)],
    ])
    const endpoint = await startRawEndpoint(answers)
    onTestFinished(() => endpoint.close())
    expect((await post(toLoopback, `${endpoint.url}/first`)).excerpt?.toString()).toBe('one')
    expect((await post(toLoopback, `${endpoint.url}/next`)).excerpt?.toString()).toBe('own')
  })
})

function posterOfTest(...networks: string[]): Poster {
  const poster = posterThatMay(...networks)
  onTestFinished(() => poster.close())
  return poster
}

describe('the request', () => {
  const evil = fc.constantFrom(
    '\r\nx-injected: 1',
    '\nx-injected: 1',
    '\r\n\r\nPOST /injected HTTP/1.1',
    '\0',
    '\u{10a}x',
    '嘊嘍x-injected',
  )
  const text = fc
    .array(fc.oneof(evil, fc.string(), fc.string({ unit: 'binary' })), { maxLength: 3 })
    .map((parts) => parts.join(''))

  /** What arrives on the wire for one POST: request line and header lines; `null` when it was not sent. */
  async function wireOf(path: string, headers: string[]): Promise<string[] | null> {
    let raw: string[] = []
    let line = ''
    answer = (request, response) => {
      line = `${request.method} ${request.url}`
      raw = request.rawHeaders
      response.end()
    }
    seen.length = 0
    const { result } = await post(toLoopback, `http://127.0.0.1:${port}${path}`, headers)
    if (seen.length === 0) {
      expect(result).toBe('blocked')
      return null
    }
    expect([result, seen.length]).toEqual(['ok', 1])
    return [line, ...raw]
  }

  const usual = ['host', `127.0.0.1:${port}`, 'connection', 'keep-alive']

  test('no header value, whatever its text, becomes another header or request', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const wire = await wireOf('/value', ['x-note', value, 'x-last', 'last'])
        // Node's parser leaves out the spaces around a value.
        const arrived = value.replace(/^[ \t]+|[ \t]+$/g, '')
        if (wire)
          expect(wire).toEqual(['POST /value', ...usual, 'x-note', arrived, 'x-last', 'last', 'content-length', '2'])
        if (/[\r\n\0]/.test(value)) expect(wire).toBeNull()
      }),
      { numRuns: 300 },
    )
  })

  test('no header name does', async () => {
    const notOurs = text.filter((name) => !/^(host|connection|content-length|upgrade|expect)$/i.test(name))
    await fc.assert(
      fc.asyncProperty(notOurs, async (name) => {
        const wire = await wireOf('/name', [name, 'value', 'x-last', 'last'])
        if (wire) expect(wire).toEqual(['POST /name', ...usual, name, 'value', 'x-last', 'last', 'content-length', '2'])
        if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) expect(wire).toBeNull()
      }),
      { numRuns: 300 },
    )
  })

  test('no part of a URL does', async () => {
    const parts = fc.tuple(fc.constantFrom('/', '/a?', '/a?b=', '/#', '/a/../', '/%0d%0a'), text)
    await fc.assert(
      fc.asyncProperty(parts, async ([before, part]) => {
        const wire = await wireOf(`${before}${part}`, ['x-last', 'last'])
        if (wire === null) return
        expect(wire[0]).toMatch(/^POST \/[\x21-\x7e]*$/)
        expect(wire.slice(1)).toEqual([...usual, 'x-last', 'last', 'content-length', '2'])
      }),
      { numRuns: 300 },
    )
  })

  test.each(['transfer-encoding', 'content-length', 'upgrade', 'expect', 'keep-alive'])(
    'a %s of the tenant’s own cannot bend the framing, though the settings refuse it already',
    async (name) => {
      expect(customHeaders.safeParse({ [name]: '1' }).success).toBe(false)
      expect(await wireOf('/framing', [name, '1'])).toBeNull()
    },
  )

  test('every header that the settings take arrives as it is', async () => {
    const name = fc.string({ unit: fc.constantFrom(..."abcXYZ019!#$%&'*+-.^_`|~"), minLength: 1, maxLength: 20 })
    const value = fc.string({ unit: fc.oneof(fc.string({ minLength: 1, maxLength: 1 }), fc.constantFrom('\t', ' ')) })
    const headers = fc.dictionary(name, value, { maxKeys: 8 }).filter((given) => customHeaders.safeParse(given).success)
    await fc.assert(
      fc.asyncProperty(headers, async (given) => {
        const wire = await wireOf('/all', Object.entries(given).flat())
        expect(wire).toEqual(['POST /all', ...usual, ...Object.entries(given).flat(), 'content-length', '2'])
      }),
      { numRuns: 200 },
    )
  })
})

test('a certificate that nobody vouches for is refused, whatever NODE_TLS_REJECT_UNAUTHORIZED says', async () => {
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
  onTestFinished(() => void vi.unstubAllEnvs())
  const read = (name: string) => readFileSync(new URL(`./fixtures/self-signed-${name}.pem`, import.meta.url))
  const server = createTlsServer({ key: read('key'), cert: read('cert') }, (_request, response) => {
    seen.push({ host: 'tls', path: '', connection: null })
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  names.answers.set('secure.example', [['127.0.0.1']])
  for (const host of ['127.0.0.1', 'secure.example']) {
    expect(await post(toLoopback, `https://${host}:${address.port}/`)).toMatchObject({
      result: 'tls',
      statusCode: null,
    })
  }
  expect(seen).toEqual([])
})
