import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { type CurlRequest, curlCommand } from '../src/admin/console/deliveries/curl-command.ts'
import { sentHeaders } from '../src/admin/console/deliveries/sent-headers.ts'
import { shellQuote } from '../src/admin/console/deliveries/shell-quote.ts'
import { prettyJson } from '../src/admin/console/json-view.ts'
import { visibleText } from '../src/admin/console/visible-text.ts'
import { requestFor } from '../src/dispatcher/sending/webhook-request.ts'
import { textOf } from './helpers/console.ts'
import { hebrew, hostile } from './helpers/console-data.ts'

const bin = mkdtempSync(join(tmpdir(), 'callbox-curl-'))
afterAll(() => rmSync(bin, { recursive: true }))
const canary = join(bin, 'canary')

/** Text that would leave its quotes, or do something, if it were quoted badly. */
const dangerous = [
  ...[
    "'",
    "''",
    "'\\''",
    '"',
    '\\',
    "\\'",
    '`touch canary`',
    '$(touch canary)',
    '$HOME',
    '!!',
    '; touch canary',
    '| cat',
  ],
  ...[
    '&& touch canary',
    '\n touch canary \n',
    '\r',
    '\t',
    '\x1b[31m',
    '\x7f',
    '\x85',
    '\x9b2J',
    '\u2028',
    '\u202e',
    '~',
    '*',
  ],
  ...['-o x', '@/etc/passwd', '[1-3]', '{a,b}', '#', '', ' ', "$'\\x41'", '\\101', '\x011', '😀', hebrew, hostile],
]

describe('a word of a shell', () => {
  test.each(['bash', 'sh'].filter((shell) => spawnSync(shell, ['-c', 'true']).status === 0))('of %s', (shell) => {
    const safe = dangerous.filter((text) => shell === 'bash' || !shellQuote(text).startsWith('$'))
    const words = safe.map(shellQuote)
    const { stdout } = spawnSync(shell, ['-c', `printf '%s\\0' ${words.join(' ')}`], { cwd: bin })
    expect(String(stdout).split('\0').slice(0, -1)).toEqual(safe)
  })

  test('whatever the text, and without a sign that a terminal would act on', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' }), { minLength: 1, maxLength: 40 }), (given) => {
        const texts = given.map((text) => text.replaceAll('\0', '').toWellFormed())
        const words = texts.map(shellQuote)
        expect(words.join('')).not.toMatch(/\p{Cc}/u)
        const { stdout } = spawnSync('bash', ['--norc', '-c', `printf '%s\\0' ${words.join(' ')}`])
        expect(String(stdout).split('\0').slice(0, -1)).toEqual(texts)
      }),
      { numRuns: 60 },
    )
  })
})

describe('the command of an attempt', () => {
  writeFileSync(join(bin, 'curl'), `#!/bin/sh\nprintf '%s\\0' "$@"\n`, { mode: 0o755 })

  /** What curl is given when the command is run. */
  const given = (request: CurlRequest): string[] => {
    const env = { PATH: `${bin}:${process.env['PATH']}`, LC_ALL: 'C.UTF-8' }
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-c', curlCommand(request)], {
      cwd: bin,
      env,
      maxBuffer: 2 ** 24,
    })
    expect(String(stderr)).toBe('')
    return String(stdout).split('\0').slice(0, -1)
  }

  test.each(dangerous)('gives curl the bytes as they are: %j', (text) => {
    const payload = JSON.stringify({ [text]: text, text: [text] })
    const url = `https://e.example/${encodeURI(text)}'$(touch canary)\`touch canary\`?a=[1-2]&b={1,2}`
    const name = "x-'`touch$canary`"
    const request = { url, headers: [[name, `<${name}>`] as const], payload, fileName: 'delivery-1.json' }
    expect(given(request)).toEqual([
      ...['--globoff', '--request', 'POST', url, '--header', `${name}: <${name}>`],
      ...['--data-raw', payload],
    ])
    expect(existsSync(canary)).toBe(false)
  })

  test('keeps the spaces between the values', () => {
    const payload = '{\n\t"a" :\r\n 1 }\n'
    expect(given({ url: 'https://e.example/', headers: [], payload, fileName: '' }).at(-1)).toBe(payload)
  })

  test('that is too long for one argument reads the downloaded file', () => {
    const request = { url: 'https://e.example/', headers: [], fileName: 'delivery-1.json' }
    const payload = (length: number): string => JSON.stringify('א'.repeat(length))
    expect(given({ ...request, payload: payload(49_000) }).at(-1)).toBe(payload(49_000))
    expect(given({ ...request, payload: payload(500_000) }).slice(-2)).toEqual(['--data-binary', '@delivery-1.json'])
  })

  test('names the headers that the dispatcher sends, and no secret', () => {
    const started = 1_765_376_639_500
    const delivery = { id: 'b7' } as unknown as Parameters<typeof requestFor>[0]
    const endpoint = {
      signingKeys: [],
      headers: ['X-Key', 'secret'],
    } as unknown as Parameters<typeof requestFor>[2]
    const { headers } = requestFor(delivery, Buffer.from('{}'), endpoint, 'https://e.example/', started)
    const sent = Array.from({ length: headers.length / 2 }, (_, place) => headers.slice(2 * place, 2 * place + 2))
    const secret = ['webhook-signature', 'X-Key']
    expect(
      sentHeaders('b7', new Date(started).toISOString(), ['X-Key']).map(({ name, value }) => [name, value]),
    ).toEqual(sent.map(([name = '', value]) => [name, secret.includes(name) ? null : value]))
  })
})

describe('JSON to read', () => {
  test('has each value on a line of its own', () => {
    const pretty = textOf(String(prettyJson('{"a":[1,{"b":"c"}],"d":{},"e":[ ],"f":null}').markup))
    expect(pretty).toBe(
      '{\n  "a": [\n    1,\n    {\n      "b": "c"\n    }\n  ],\n  "d": {},\n  "e": [],\n  "f": null\n}',
    )
  })

  test('is written as it was: numbers, repeated keys, escapes, order', () => {
    const odd = '{"2":1e400,"1":12345678901234567890.10,"1":"\\u05d0\\"","-":-0}'
    expect(textOf(String(prettyJson(odd).markup)).replaceAll(/\n *|(?<=:) /g, '')).toBe(odd)
  })

  test.each(['true', '""', '[]', '1', '"\\\\"', '{"<script>":"</bdi>&"}'])('of little: %s', (text) =>
    expect(textOf(String(prettyJson(text).markup)).replaceAll(/\n *|(?<=:) /g, '')).toBe(text),
  )

  test('shows what cannot be seen as an escape that means the same', () => {
    expect(textOf(String(prettyJson('"a\u202eb\u007fc"').markup))).toBe('"a\\u202eb\\u007fc"')
  })

  test('means the same, whatever it is', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const markup = String(prettyJson(text).markup)
        expect(markup.replaceAll(/<\/?bdi( class="json-\w+")?>/g, '')).not.toMatch(/[<>]/)
        expect(JSON.parse(textOf(markup))).toEqual(JSON.parse(text))
      }),
    )
  })

  test.each([
    ['deep', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
    ['long', `[${'1,'.repeat(400_000)}1]`],
    ['one long text', JSON.stringify('\\"<'.repeat(250_000))],
    ['one text of quotes', JSON.stringify('"'.repeat(500_000))],
    ['one text of backslashes', JSON.stringify('\\'.repeat(500_001))],
    ['many objects', `[${'{},'.repeat(300_000)}1]`],
    ['one text of surrogate pairs', JSON.stringify(`a${'😀'.repeat(200_000)}`)],
  ])('that is %s stays within bounds', (_name, text) => {
    const { markup, length } = prettyJson(text)
    expect(String(markup).length).toBeLessThan(1_000_000)
    expect(length).toBeLessThanOrEqual(65_536)
    expect(textOf(String(markup)).replaceAll(/\n */g, '')).toBe(text.slice(0, length))
  })
})

test('a text of somebody else shows what it is made of', () => {
  expect(visibleText('a\0b\x1b[31m\x7f\x9bא\u200f\u202etxt.exe\r\n\tc\rd')).toBe(
    'a␀b␛[31m␡⟨U+009B⟩א\u200f⟨U+202E⟩txt.exe\n\tc␍d',
  )
})
