import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, type TestContext, test } from 'vitest'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

interface Demo {
  child: ChildProcess
  output(): string
  ended: Promise<number | null>
  /** What it has not cleaned up. */
  leftovers(): string[]
}

/** `npm run demo`, with a temporary directory of its own. */
function startDemo(onTestFinished: TestContext['onTestFinished'], ...options: string[]): Demo {
  const temporary = mkdtempSync(join(tmpdir(), 'callbox-test-demo-'))
  const env = { ...process.env, TMPDIR: temporary, NO_COLOR: '1', FORCE_COLOR: undefined, OPENAI_API_KEY: undefined }
  const child = spawn(process.execPath, [cli, 'demo', ...options], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text))
  const ended = once(child, 'close').then(([code]) => code as number | null)
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
    rmSync(temporary, { recursive: true, force: true })
  })
  return { child, output: () => output, ended, leftovers: () => readdirSync(temporary) }
}

async function isListening(url: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** A demo starts beside other test files. */
const patience = { timeout: 150_000, interval: 50 }

describe('the demo', { timeout: 180_000 }, () => {
  test('plays its calls, shows that all arrived, and leaves nothing behind', async ({ expect, onTestFinished }) => {
    const demo = startDemo(onTestFinished)
    const code = await demo.ended
    const figures = [...demo.output().matchAll(/^ {2}(calls|webhooks \w+|attempts|lost|duplicates) +(\d+)/gm)]
    expect(Object.fromEntries(figures.map(([, name, figure]) => [name, figure])), demo.output()).toEqual({
      calls: '7',
      'webhooks delivered': '5',
      'webhooks skipped': '2',
      attempts: '7',
      lost: '0',
      duplicates: '0',
    })
    expect(demo.output()).toMatch(/attempt 1: answered 500 in \d+ ms; next attempt in 1\.\d s/)
    expect(demo.output()).toMatch(/attempt 2: no answer in 4\.\d s; next attempt in 2\.\d s/)
    expect(demo.output()).toMatch(/attempt 3: answered 200 in \d+ ms → delivered/)
    expect(code).toBe(0)
    expect(demo.leftovers()).toEqual([])
  })

  test('--keep leaves it running at the addresses that it shows, until Ctrl-C', async ({ expect, onTestFinished }) => {
    const demo = startDemo(onTestFinished, '--keep')
    await expect.poll(demo.output, patience).toContain('logs  ')
    const [, api = ''] = demo.output().match(/API +(http\S+)/) ?? []
    const [, token = ''] = demo.output().match(/admin token +(\S+)/) ?? []
    const [, console = ''] = demo.output().match(/console +(http\S+)/) ?? []
    expect(await (await fetch(console)).text()).toContain('Sign in to Callbox')
    const answer = await fetch(`${api}/admin/deliveries?status=delivered`, {
      headers: { authorization: `Bearer ${token}` },
    })
    expect(((await answer.json()) as { items: unknown[] }).items).toHaveLength(5)
    demo.child.kill('SIGINT')
    expect(await demo.ended, demo.output()).toBe(0)
    await expect(fetch(`${api}/healthz`)).rejects.toThrow('fetch failed')
    expect(demo.leftovers()).toEqual([])
  })

  test('killed, it leaves nothing running', async ({ expect, onTestFinished }) => {
    const demo = startDemo(onTestFinished, '--keep')
    await expect.poll(demo.output, patience).toContain('logs  ')
    const [, api = ''] = demo.output().match(/API +(http\S+)/) ?? []
    const [, database = ''] = demo.output().match(/database +(\S+)/) ?? []
    expect(await isListening(api)).toBe(true)
    expect(await isListening(database)).toBe(true)
    demo.child.kill('SIGKILL')
    await expect.poll(() => isListening(api), patience).toBe(false)
    await expect.poll(() => isListening(database), patience).toBe(false)
  })

  test('Ctrl-C while it starts ends it, and leaves nothing behind', async ({ expect, onTestFinished }) => {
    const demo = startDemo(onTestFinished)
    await expect.poll(demo.output, patience).toContain('api, worker and dispatcher')
    demo.child.kill('SIGINT')
    expect(await demo.ended, demo.output()).toBe(130)
    expect(demo.leftovers()).toEqual([])
  })
})
