import { spawn } from 'node:child_process'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { SystemLookup } from '../src/dispatcher/sending/system-lookup.ts'

const names = new SystemLookup()
afterAll(() => names.close())

const outcomeOf = (answer: Promise<unknown>): Promise<unknown> => answer.catch((error) => ({ code: error.code }))

// None of these is asked of DNS; `names.test.ts` has a DNS server of its own.
test.each(['localhost', '127.0.0.1', '::1', 'a..b', 'x'.repeat(300)])(
  'the answer for "%s" is getaddrinfo’s',
  async (name) => {
    const [ours, own] = await Promise.all([outcomeOf(names.lookup(name)), outcomeOf(lookup(name, { all: true }))])
    expect(ours).toEqual(own)
  },
)

test('many lookups at once are all answered', async () => {
  const answers = await Promise.all(Array.from({ length: 2_000 }, () => names.lookup('localhost')))
  expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
})

test('after close every lookup fails', async () => {
  const closed = new SystemLookup()
  await closed.lookup('localhost')
  closed.close()
  expect(await outcomeOf(closed.lookup('localhost'))).toEqual({ code: 'EAI_AGAIN' })
})

const script = new URL('../src/dispatcher/sending/system-lookup.ts', import.meta.url).href

/** A process that has looked a name up, and the one that did so for it. */
async function startUser(afterwards: string) {
  const program = `
    const { SystemLookup } = await import('${script}')
    await new SystemLookup().lookup('localhost')
    process.channel.unref()
    process.send(process.getActiveResourcesInfo(), () => { ${afterwards} })
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child, 'message')
  return child
}

test('an idle lookup process does not keep its parent alive', async () => {
  const [code] = await once(await startUser(''), 'exit')
  expect(code).toBe(0)
})

test.runIf(process.platform === 'linux')(
  'a lookup process outlives a signal to the group, and ends with its user',
  async () => {
    const child = await startUser('setInterval(() => undefined, 1_000)')
    const helper = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim())
    expect(helper).toBeGreaterThan(0)
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.kill(helper, signal)
    expect(existsSync(`/proc/${helper}`)).toBe(true)
    child.kill('SIGKILL')
    await expect.poll(() => existsSync(`/proc/${helper}`)).toBe(false)
  },
)
