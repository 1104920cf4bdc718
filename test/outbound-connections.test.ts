import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startFullListener } from './helpers/full-listener.ts'
import { isNamespaceMissing } from './helpers/name-namespace.ts'

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const cli = pathOf('../src/cli.ts')
const outbound = pathOf('./helpers/outbound-process.ts')

/** Runs Node where `far.example` has two addresses, the first of them slow and the second one refusing. */
function runWithFarHost(args: string[], env: Record<string, string>): void {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-far-'))
  const hosts = join(directory, 'hosts')
  writeFileSync(hosts, '127.0.0.1 far.example\n127.0.0.2 far.example\n')
  const mount = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
  const command = [
    '--user',
    '--map-root-user',
    '--mount',
    '--kill-child',
    'sh',
    '-c',
    mount,
    'sh',
    hosts,
    process.execPath,
  ]
  const child = spawn('unshare', [...command, ...args], { env: { PATH: process.env['PATH'], ...env }, stdio: 'ignore' })
  onTestFinished(() => {
    child.kill('SIGKILL')
    rmSync(directory, { recursive: true })
  })
}

describe.skipIf(isNamespaceMissing())('a host whose handshake takes a second, and whose other address refuses', () => {
  const requests = [
    ['PostgreSQL', 'postgres', [cli, 'migrate'], 'user'],
    ['Twilio', 'http', [outbound, 'twilio'], 'GET /2010-04-01/Accounts/'],
    ['OpenAI', 'http', [outbound, 'openai'], 'GET /v1/models'],
    ['a proxy for deliveries', 'http', [outbound, 'proxy'], 'CONNECT n8n.example:80'],
    ['fetch', 'http', [outbound, 'fetch'], 'GET / HTTP/1.1'],
    ['http, as the Twilio client uses it', 'http', [outbound, 'http'], 'GET / HTTP/1.1'],
  ] as const
  test.each(requests)('%s is reached', async (_name, protocol, args, expected) => {
    const received: string[] = []
    const slow = await startFullListener('127.0.0.1', 0, (data) => received.push(data))
    onTestFinished(() => slow.close())
    const url = `${protocol}://far.example:${slow.port}`
    runWithFarHost(args[0] === cli ? [...args] : [...args, url], { DATABASE_URL: `${url}/x` })
    await slow.untilKnockedOn()
    slow.open()
    await expect.poll(() => received.join()).toContain(expected)
  })
})
