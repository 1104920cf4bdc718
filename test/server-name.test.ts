import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createProxy } from 'node:http'
import { createServer, type Server } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { AddressGuard } from '../src/dispatcher/sending/address-guard.ts'
import { Poster } from '../src/dispatcher/sending/post.ts'
import { NameResolver } from '../src/dispatcher/sending/resolve-name.ts'
import { dnsLookup, startDnsServer } from './helpers/dns-server.ts'

const names = await startDnsServer()
const read = (name: string): string => readFileSync(new URL(`./fixtures/${name}.pem`, import.meta.url), 'utf8')
const seen: { serverName: string | false | null; host: string | undefined }[] = []
const tunnels: string[] = []
const usual = getCACertificates('default')

async function startTls(certificate: string): Promise<Server> {
  const options = { key: read(`${certificate}-key`), cert: read(`${certificate}-cert`) }
  const server = createServer(options, (request, response) => {
    seen.push({ serverName: (request.socket as TLSSocket).servername, host: request.headers.host })
    response.end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server
}
const portOf = (server: { address(): AddressInfo | string | null }): number => (server.address() as AddressInfo).port

const trusted = await startTls('secure-example')
const untrusted = await startTls('self-signed')
const proxy = createProxy()

beforeAll(async () => {
  setDefaultCACertificates([...usual, read('secure-example-cert')])
  for (const name of ['secure.example', 'secure.example.', 'other.example']) names.answers.set(name, [['127.0.0.1']])
  proxy.on('connect', (request, client) => {
    tunnels.push(request.url ?? '')
    const upstream = connect(Number(request.url?.split(':')[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      upstream.pipe(client).pipe(upstream)
    })
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
})
afterAll(() => {
  setDefaultCACertificates(usual)
  for (const server of [trusted, untrusted, proxy]) server.close()
  names.close()
})
beforeEach(() => {
  seen.length = 0
  tunnels.length = 0
})

function newPoster(proxied: boolean): Poster {
  const guard = new AddressGuard({ allowedNetworks: ['127.0.0.1/32'] }, new NameResolver(dnsLookup(names)))
  const poster = new Poster(guard, 5_000, proxied ? `http://127.0.0.1:${portOf(proxy)}` : null, () => null)
  onTestFinished(() => poster.close())
  return poster
}

const request = (url: string) => ({ url, headers: [], body: Buffer.from('{}') })

test.each([false, true])(
  'a name with a trailing dot: SNI and certificate without, Host as given (proxy: %s)',
  async (proxied) => {
    const poster = newPoster(proxied)
    const port = portOf(trusted)
    for (const name of ['secure.example', 'secure.example.', 'SECURE.EXAMPLE.', 'secure.example.']) {
      expect(await poster.post(request(`https://${name}:${port}/`))).toMatchObject({ result: 'ok', statusCode: 200 })
    }
    expect(seen.map(({ serverName }) => serverName)).toEqual(Array(4).fill('secure.example'))
    expect(new Set(seen.map(({ host }) => host))).toEqual(
      new Set([`secure.example:${port}`, `secure.example.:${port}`]),
    )
    // A proxy with search domains must know that the name is whole.
    if (proxied) expect(new Set(tunnels)).toEqual(new Set([`secure.example:${port}`, `secure.example.:${port}`]))
  },
)

test.each([false, true])(
  'the certificate is still checked, whatever the environment says (proxy: %s)',
  async (proxied) => {
    const poster = newPoster(proxied)
    for (const accepts of ['', '0']) {
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', accepts)
      onTestFinished(() => void vi.unstubAllEnvs())
      for (const url of [
        `https://other.example:${portOf(trusted)}/`,
        `https://other.example.:${portOf(trusted)}/`,
        `https://secure.example.:${portOf(untrusted)}/`,
      ]) {
        expect({ url, ...(await poster.post(request(url))) }).toMatchObject({ url, result: 'tls', statusCode: null })
      }
    }
    expect(seen).toEqual([])
  },
)
