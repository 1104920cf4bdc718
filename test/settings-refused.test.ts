import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { secretsKey } from './helpers/businesses.ts'

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))
const sound = 'postgres://callbox:hidden-word@127.0.0.1:1/callbox'

/** Runs the real command until it exits, with a database URL where nothing listens. */
const run = (words: string[], settings: Record<string, string>) =>
  new Promise<{ code: number; lines: string[] }>((resolve) => {
    const env = {
      PATH: process.env['PATH'],
      DATABASE_URL: sound,
      SECRETS_KEY: secretsKey.toString('base64'),
      METRICS_PORT: '0',
      ...settings,
    }
    execFile(process.execPath, [cli, ...words], { cwd: tmpdir(), env, timeout: 60_000 }, (error, stdout, stderr) => {
      const lines = `${stdout}${stderr}`.trim().split('\n')
      resolve({ code: error === null ? 0 : Number(error.code), lines })
    })
  })

describe('a database URL of several hosts is refused in one line, without its password', () => {
  const several = 'got several hosts; expected one address that follows the primary: HAProxy'
  const ignored = (name: string) =>
    `got the parameter ${name}, which has no effect here; expected one address that follows the primary: HAProxy`
  const urls: [string, string][] = [
    ['postgres://callbox:hidden-word@host1,host2/callbox', several],
    ['postgresql://callbox:hidden-word@host1:5432,host2:5433/callbox', several],
    ['postgres://callbox:hidden-word@[fd00::1]:5432,[fd00::2]:5432/callbox', several],
    ['postgres:///callbox?user=callbox&password=hidden-word&host=host1,host2', several],
    ['postgres:///callbox?user=callbox&password=hidden-word&host=host1%2Chost2&port=5432%2C5433', several],
    [`${sound}?target_session_attrs=read-write`, ignored('target_session_attrs')],
    [`${sound}?sslmode=disable&target_session_attrs=any`, ignored('target_session_attrs')],
    [`${sound}?load_balance_hosts=random`, ignored('load_balance_hosts')],
    [`${sound}?hostaddr=10.0.0.1`, ignored('hostaddr')],
  ]
  const commands = [['start', 'worker'], ['migrate']]
  test.each(urls)('%s', async (url, says) => {
    for (const variable of ['DATABASE_URL', 'DATABASE_DIRECT_URL']) {
      for (const { code, lines } of await Promise.all(commands.map((words) => run(words, { [variable]: url })))) {
        expect(code).toBeGreaterThan(0)
        expect(lines).toHaveLength(1)
        expect(lines[0]).toContain(`${variable}: ${says}`)
        expect(lines[0]).not.toContain('hidden-word')
      }
    }
  })
})

describe('a secret that no header can carry is refused in one line, without its value', () => {
  test.each([
    ['OPENAI_API_KEY', 'sk-hidden\u2026word', 'a key in printable ASCII characters'],
    ['OPENAI_API_KEY', 'sk-hidden\nword', 'a key in printable ASCII characters'],
    ['OPENAI_API_KEY', '\u201csk-hidden\u201d', 'a key in printable ASCII characters'],
    ['OPENAI_API_KEY', 'sk-hidden\u200bword', 'a key in printable ASCII characters'],
    ['TWILIO_AUTH_TOKEN', 'hidden\u2013word', 'auth tokens in printable ASCII characters'],
    ['TWILIO_AUTH_TOKEN', 'sound,hidden\u00a0word', 'auth tokens in printable ASCII characters'],
    ['OPENAI_BASE_URL', 'https://user:hidden@ai.example/v1', 'an http or https address without user and password'],
    ['TWILIO_API_URL', 'https://user:hidden@twilio.example', 'an http or https address without user and password'],
    ['ADMIN_TOKEN', 'hidden-hidden-hidden\u00e9', 'a token of 16 characters or more (printable ASCII)'],
  ])('%s=%j', async (variable, value, expected) => {
    const { code, lines } = await run(['start', 'worker'], { [variable]: value })
    expect(code).toBeGreaterThan(0)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain(`${variable}: got a value of ${value.length} characters; expected ${expected}`)
    expect(lines[0]).not.toContain('hidden')
  })

  test('a value that a header can carry is used unchanged', () => {
    const { openai, twilio } = readConfig({
      OPENAI_API_KEY: 'sk-a b~!"\\',
      OPENAI_BASE_URL: 'http://ai.internal:8000/v1/',
      TWILIO_AUTH_TOKEN: 'one, two',
    })
    expect(openai).toMatchObject({ apiKey: 'sk-a b~!"\\', baseUrl: 'http://ai.internal:8000/v1' })
    expect(twilio.authTokens).toEqual(['one', 'two'])
  })
})
