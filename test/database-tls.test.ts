import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type EmbeddedDatabase, startEmbeddedDatabase } from '../src/database/embedded.ts'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const fixture = (name: string) => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'callbox-tls-'))
const certificate = join(directory, 'cert.pem')
const key = join(directory, 'key.pem')
const noCertificate = join(directory, 'no-certificate.pem')
let server: EmbeddedDatabase

beforeAll(async () => {
  copyFileSync(fixture('self-signed-cert.pem'), certificate)
  copyFileSync(fixture('self-signed-key.pem'), key)
  chmodSync(key, 0o600)
  writeFileSync(noCertificate, '-----BEGIN CERTIFICATE-----\nthis is none\n-----END CERTIFICATE-----\n')
  server = await startEmbeddedDatabase({
    directory: join(directory, 'pg'),
    port: 0,
    password: 'test-password',
    settings: ['listen_addresses=127.0.0.1,127.0.0.2', 'ssl=on', `ssl_cert_file=${certificate}`, `ssl_key_file=${key}`],
  })
})
afterAll(async () => {
  await server.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function migrate(query: string, host = '127.0.0.1'): Promise<{ code: number; lines: string[] }> {
  const env = { PATH: process.env['PATH'], DATABASE_URL: `${server.url.replace('127.0.0.1', host)}?${query}` }
  const ended = await promisify(execFile)(process.execPath, [cli, 'migrate'], { env }).catch((error: unknown) => error)
  const { code = 0, stderr } = ended as { code?: number; stderr: string }
  return { code, lines: stderr === '' ? [] : stderr.trim().split('\n') }
}

test.each(['prefer', 'require', 'verify-ca', 'verify-full'])(
  'a CA that is unknown is named as the reason, with what to do, for sslmode=%s',
  async (mode) => {
    const { code, lines } = await migrate(`sslmode=${mode}`)
    expect(lines).toEqual([
      expect.stringMatching(/^DATABASE_URL: the certificate of the database is not trusted: .*sslrootcert=/),
    ])
    expect(code).toBe(1)
  },
)

test('a CA file that holds no certificate is named', async () => {
  const { code, lines } = await migrate(`sslmode=verify-full&sslrootcert=${noCertificate}`)
  expect(lines).toEqual([
    expect.stringMatching(/^DATABASE_URL: got sslrootcert=.*; expected a PEM file that this process/),
  ])
  expect(code).toBe(1)
})

test('a certificate for another host name is named', async () => {
  const { code, lines } = await migrate(`sslmode=verify-full&sslrootcert=${certificate}`, '127.0.0.2')
  expect(lines).toEqual([
    expect.stringMatching(/^DATABASE_URL: the certificate of the database is for another host name: /),
  ])
  expect(code).toBe(1)
})

test('TLS with the right CA works, and so does one that trusts any', async () => {
  expect(await migrate(`sslmode=verify-full&sslrootcert=${certificate}`)).toEqual({ code: 0, lines: [] })
  expect(await migrate('sslmode=no-verify')).toEqual({ code: 0, lines: [] })
})
