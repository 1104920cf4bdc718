import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { secretsKey } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { startProcess } from './helpers/processes.ts'
import { isMissing } from './helpers/programs.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

/** A command in a process group of its own, such as `npm start`, whose dispatcher runs on the test's database. */
function startGroup(command: string, words: string[]) {
  const child = spawn(command, words, {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: database.url,
      SECRETS_KEY: secretsKey.toString('base64'),
      METRICS_PORT: '0',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const group = -(child.pid ?? Number.NaN)
  onTestFinished(() => {
    try {
      process.kill(group, 'SIGKILL')
    } catch {}
  })
  const exited = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  let printed = ''
  child.stdout.on('data', (chunk) => {
    printed += chunk
  })
  return {
    signal: (name: NodeJS.Signals) => void child.kill(name),
    signalGroup: (name: NodeJS.Signals) => void process.kill(group, name),
    type: (text: string) => void child.stdin.write(text),
    exited,
    printed: () => printed,
    until: (text: string) => eventually(`it prints ${text}`, () => printed.includes(text)),
  }
}

const timesOf = (text: string, printed: string): number => printed.split(text).length - 1

describe('npm start', () => {
  test('forwards a SIGTERM from npm to the process that it runs', async () => {
    const npm = startGroup('npm', ['start', 'dispatcher'])
    await npm.until('service.ready')
    npm.signal('SIGTERM')
    await npm.until('service.stopped')
    await npm.exited
  })

  test.each(['SIGINT', 'SIGTERM'] as const)('drains after a %s to its whole process group', async (signal) => {
    const npm = startGroup('npm', ['start', 'dispatcher'])
    await npm.until('service.ready')
    npm.signalGroup(signal)
    await npm.exited
    expect(timesOf('service.stopping', npm.printed())).toBe(1)
    expect(timesOf('service.stopped', npm.printed())).toBe(1)
  })

  test.skipIf(isMissing('script', 'bsdutils'))('drains after Ctrl-C in a terminal', async () => {
    const terminal = startGroup('script', ['--quiet', '--return', '--command', 'npm start dispatcher', '/dev/null'])
    await terminal.until('ready: dispatcher')
    terminal.type('\x03')
    await terminal.exited
    expect(terminal.printed()).toContain('SIGINT: finishing work in progress')
    expect(terminal.printed()).toMatch(/stopped\b/)
  })
})

describe('a stop signal', () => {
  test.each([
    ['SIGINT', 'SIGTERM', 'SIGINT'],
    ['SIGTERM', 'SIGTERM', 'SIGTERM'],
  ] as const)('and others within two seconds are one request: %s, %s, %s', async (...signals) => {
    const service = startProcess(['dispatcher'], database.url)
    await service.ready()
    for (const signal of signals) service.signal(signal)
    expect(await service.exited()).toBe(0)
    const events = service.log.map(({ event }) => event)
    expect(events.filter((event) => event === 'service.stopping')).toHaveLength(1)
    expect(events.at(-1)).toBe('service.stopped')
  })

  test('twice during the start stops it in order', async () => {
    const other = await createTestDatabase()
    // It waits for its schema, and has started nothing.
    await other.pool.query('delete from callbox.callbox_migrations')
    const service = startProcess(['dispatcher'], other.url)
    await service.untilLogged('service.waiting')
    service.signal('SIGINT')
    service.signal('SIGINT')
    expect(await service.exited()).toBe(0)
    expect(service.log.at(-1)?.event).toBe('service.stopped')
  })

  test('twice while the embedded database is made stops both in order', async () => {
    const home = mkdtempSync(join(tmpdir(), 'callbox-signals-'))
    onTestFinished(() => rmSync(home, { recursive: true, force: true }))
    const service = startProcess([], '', { CALLBOX_HOME: home, PORT: '0' })
    await eventually('its directory is there', () => existsSync(join(home, 'postgres', 'base')))
    service.signal('SIGINT')
    service.signal('SIGINT')
    expect(await service.exited()).toBe(0)
    expect(service.log.at(-1)?.event).toBe('service.stopped')
    expect(existsSync(join(home, 'postgres', 'postmaster.pid'))).toBe(false)
  })

  test('again after two seconds ends the process immediately', async () => {
    const service = startProcess(['api'], database.url, { PORT: '0', ADMIN_TOKEN: 'a-token-for-this-test' })
    await service.ready()
    const { port } = service.log.find(({ event }) => event === 'service.listening') ?? {}
    // A load balancer has polled it, so it would keep serving for five seconds.
    await fetch(`http://127.0.0.1:${port}/readyz`)
    const sentMs = performance.now()
    await eventually('it has ended', () => {
      service.signal('SIGTERM')
      return service.hasExited()
    })
    expect(await service.exited()).toBe(1)
    expect(performance.now() - sentMs).toBeGreaterThan(1_900)
    expect(service.log.map(({ event }) => event)).not.toContain('service.stopped')
  })
})
