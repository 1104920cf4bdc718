import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

const directory = fileURLToPath(new URL('.', import.meta.url))

interface Ended {
  code: number
  stdout: string
  stderr: string
}

/** Runs a program of the repository in an environment in which nothing can start. */
function run(program: string, ...words: string[]): Promise<Ended> {
  const file = fileURLToPath(new URL(`../${program}`, import.meta.url))
  const options = { cwd: directory, env: { PATH: process.env['PATH'], PORT: 'not a port' } }
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...words], options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

const commands = [
  { program: 'src/cli.ts', words: [], mentions: 'callbox reseal' },
  ...['start', 'migrate', 'reseal', 'demo'].map((name) => ({
    program: 'src/cli.ts',
    words: [name],
    mentions: `callbox ${name}`,
  })),
  { program: 'bench/bench.ts', words: [], mentions: 'npm run bench' },
  { program: 'test/chaos/chaos.ts', words: [], mentions: 'npm run chaos' },
]

describe.each(commands)('$program $words', ({ program, words, mentions }) => {
  test.each(['--help', '-h'])('%s prints the usage to standard output', async (option) => {
    expect(await run(program, ...words, option)).toEqual({
      code: 0,
      stdout: expect.stringContaining(mentions),
      stderr: '',
    })
  })

  test('--version prints the version to standard output', async () => {
    expect(await run(program, ...words, '--version')).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: '' })
  })

  test('an unknown option is an error, and nothing is done', async () => {
    const ended = await run(program, ...words, '--loud')
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr.split('\n')[0]).toContain('--loud')
    expect(ended.stderr).toContain(mentions.split(' ').slice(0, 2).join(' '))
  })
})

test.each([
  [['start', 'api', 'help me'], 'start: got "help me"; expected api, worker, dispatcher'],
  [['demo', '--keep=1'], 'demo: got "--keep=1"; expected --keep'],
  [['migrate', 'now'], 'migrate: got "now"; expected nothing'],
  [['strat'], 'callbox: got "strat"; expected start, migrate, reseal, check, demo'],
  [['constructor'], 'callbox: got "constructor"; expected start, migrate, reseal, check, demo'],
  [[], 'callbox: got no command'],
])('%j is refused with a message', async (words, says) => {
  const ended = await run('src/cli.ts', ...words)
  expect(ended).toMatchObject({ code: 2, stdout: '' })
  expect(ended.stderr.split('\n')[0]).toBe(says)
})

test('help with the name of a command is the help of that command', async () => {
  expect(await run('src/cli.ts', 'help', 'demo')).toEqual(await run('src/cli.ts', 'demo', '--help'))
})
