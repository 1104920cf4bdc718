import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { loadEnvFile } from '../src/env-file.ts'
import { secretsKey } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'callbox-env-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
})

/** What a file adds to an environment. */
function added(content: string | Buffer, env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  writeFileSync(join(directory, '.env'), content)
  loadEnvFile(directory, env)
  return env
}

describe('a .env file', () => {
  test.each([
    ['comments, blank lines and spaces', '# a\n\n  A = 1  \n\t# b\nB=2 # c', { A: '1', B: '2' }],
    ['quotes', `A="x y"\nB='x # y'\nC=\`x "y"\`\nD="x" # y`, { A: 'x y', B: 'x # y', C: 'x "y"', D: 'x' }],
    ['a value over several lines', 'A="x\ny"\nB=2', { A: 'x\ny', B: '2' }],
    ['export', 'export A=1', { A: '1' }],
    ['line ends of Windows and a byte order mark', '\ufeffA=1\r\nB=\r\nC=3\r\n', { A: '1', B: '', C: '3' }],
    ['empty values, with a space behind or not', 'A=\nB= \n\nC=3', { A: '', B: '', C: '3' }],
    ['a name that is there twice', 'A=1\nA=2', { A: '2' }],
    ['nothing', '', {}],
  ])('may have %s', (_, content, expected) => {
    expect(added(content)).toEqual(expected)
  })

  test('is overridden by the environment, also by an empty value', () => {
    expect(added('A=1\nB=2\nC=3\nA=4', { A: 'kept', B: '' })).toEqual({ A: 'kept', B: '', C: '3' })
  })

  test.each([
    ['a line without "="', 'A=1\nsecret word', '2'],
    ['a quote that is not closed', 'A="secret word\nB=1', '1'],
    ['text after the closing quote', 'A=1\n\nB="secret" word', '3'],
    ['a name that is none', '1A=secret word', '1'],
    ['no name', '=secret word', '1'],
  ])('with %s is refused by its line, without its content', (_, content, line) => {
    const expected = `got a line ${line} that is not understood; expected NAME=value, quotes closed`
    expect(() => added(content)).toThrow(`${join(directory, '.env')}: ${expected}`)
    expect(() => added(content)).not.toThrow('secret')
  })

  test.each([
    ['UTF-16', Buffer.from('\ufeffA=1', 'utf16le')],
    ['Latin-1', Buffer.from('A=\xe9', 'latin1')],
  ])('in %s is refused', (_, content) => {
    expect(() => added(content)).toThrow('got a file that is not text; expected UTF-8')
  })

  test('that is a directory is refused', () => {
    mkdirSync(join(directory, '.env'))
    expect(() => loadEnvFile(directory, {})).toThrow('got EISDIR; expected a file that this user can read, or none')
  })

  test('is optional', () => {
    expect(loadEnvFile(directory, {})).toBeNull()
  })
})

const cli = fileURLToPath(new URL('../src/cli.ts', import.meta.url))

/** Runs `callbox` in the directory of the file. */
function run(words: string[], env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = { cwd: directory, env: { PATH: process.env['PATH'], ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...words], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

describe('callbox', () => {
  test('reads the file of its directory, says so, and prefers the environment', async () => {
    const database = await createTestDatabase()
    writeFileSync(join(directory, '.env'), `DATABASE_URL=${database.url}\nLOG_LEVEL=nonsense\n`)
    const says = `settings from ${join(directory, '.env')}\n`
    expect(await run(['migrate'], { LOG_LEVEL: 'info' })).toEqual({
      code: 0,
      stdout: `${says}nothing to do: the schema is current\n`,
      stderr: '',
    })
    const resealed = await run(['reseal'], {
      LOG_LEVEL: 'info',
      SECRETS_KEY: secretsKey.toString('base64'),
      SECRETS_KEY_PREVIOUS: Buffer.alloc(32, 1).toString('base64'),
    })
    expect(resealed).toMatchObject({ code: 0, stdout: expect.stringContaining(says) })
  })

  test.each([['migrate'], ['reseal'], ['start'], ['start', 'api'], ['start', 'worker'], ['start', 'dispatcher']])(
    '%s %s says that a value it cannot use is from the file',
    async (...words) => {
      writeFileSync(join(directory, '.env'), 'PORT=eighty\n')
      const expected = 'expected a port from 0 to 65535'
      expect(await run(words, {})).toEqual({
        code: 1,
        stdout: '',
        stderr: `PORT: got "eighty"; ${expected} (set in ${join(directory, '.env')})\n`,
      })
      expect((await run(words, { PORT: 'ninety' })).stderr).toBe(`PORT: got "ninety"; ${expected}\n`)
    },
  )

  test('start names the file in its log, and no value of it', async () => {
    const content = 'DATABASE_URL=postgres://127.0.0.1:1/none\nPORT=0\nADMIN_TOKEN=a-token-of-the-file\n'
    writeFileSync(join(directory, '.env'), content)
    const { code, stdout, stderr } = await run(['start', 'api'], {})
    expect(code).toBe(1)
    expect(stdout).toContain(`"msg":"settings from ${join(directory, '.env')}"`)
    expect(stderr).toContain('SECRETS_KEY: got nothing')
    expect(`${stdout}${stderr}`).not.toContain('a-token-of-the-file')
  })
})
