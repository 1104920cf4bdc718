import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Handler, startLoopbackServer } from '../src/demo/loopback-server.ts'
import { recordingAnswer } from '../src/demo/recording-answer.ts'
import { type Answer, type Reply, ScriptedAnswers, sendReply } from '../src/demo/scripted-answers.ts'
import { loadSpeech } from '../src/demo/speech.ts'
import { type AudioParts, fetchAudio } from '../src/pipeline/audio.ts'
import { mp3Seconds } from '../src/pipeline/mp3-length.ts'
import { atEnd } from './helpers/at-end.ts'

const kb = 1024
const authorization = `Basic ${Buffer.from(`AC${'a'.repeat(32)}:token`).toString('base64')}`
const audio = Buffer.from(Array.from({ length: 400 * kb }, (_, index) => (index * index) >> 3))

interface Asked {
  url: string
  headers: IncomingHttpHeaders
}

/** A server that gives these answers in turn, then repeats the last one. */
async function serve(...given: Answer[]): Promise<{ url: string; port: number; asked: Asked[] }> {
  const asked: Asked[] = []
  const scripted = new ScriptedAnswers()
  scripted.queue('', ...given.slice(0, -1))
  scripted.always('', given.at(-1) ?? null)
  const server = await startLoopbackServer((request, response) => {
    asked.push({ url: request.url ?? '', headers: request.headers })
    scripted.give(scripted.next('') ?? 'reset', request, response)
  })
  atEnd(server.close)
  return { url: server.url, port: server.port, asked }
}

/** The first `bytes` of the recording, after which the connection is cut. */
const cutAfter =
  (bytes: number, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(200, { etag: '"one"', 'content-length': String(audio.length), ...headers })
    response.write(audio.subarray(0, bytes), () => response.socket?.end())
  }
const partFrom = (from: number, to = audio.length, headers: Record<string, string> = {}): Reply => ({
  status: 206,
  headers: {
    etag: '"one"',
    'content-length': String(to - from),
    'content-range': `bytes ${from}-${to - 1}/${audio.length}`,
    ...headers,
  },
  body: audio.subarray(from, to),
})
/** The whole body as a chunked answer without a length. */
const unmeasured =
  (body: Buffer): Handler =>
  (_request, response) => {
    response.writeHead(200, {})
    response.write(body, () => response.end())
  }
const whole = recordingAnswer(audio)
const etagOfWhole = `"${createHash('sha256').update(audio).digest('hex').slice(0, 32)}"`

let path: string
let parts: AudioParts
beforeEach(() => {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-audio-'))
  atEnd(async () => rmSync(directory, { recursive: true, force: true }))
  path = join(directory, 'recording.mp3')
  parts = new Map()
})
const stored = (): Buffer => readFileSync(path)

interface Given {
  url?: string
  durationSec?: number | null
  recordingHosts?: string[]
  apiUrl?: string
}
const fetchFrom = (apiUrl: string, given: Given = {}) => {
  const { url = `${apiUrl}/Recordings/RE1`, durationSec = null, recordingHosts = [] } = given
  const settings = { accountSid: `AC${'a'.repeat(32)}`, authTokens: ['token'], apiUrl, recordingHosts }
  return fetchAudio(settings, { url, durationSec }, path, parts, new AbortController().signal)
}
const fetched = { ok: true, value: { bytes: audio.length } }

describe('a recording that breaks off', () => {
  test('is continued immediately with Range, if it is the same', async () => {
    const twilio = await serve(cutAfter(100 * kb), 'reset', partFrom(100 * kb, 200 * kb), partFrom(200 * kb))
    // A transfer without progress ends the try.
    expect(await fetchFrom(twilio.url)).toMatchObject({ ok: false, setback: { kind: 'outage' } })
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
    expect(stored().equals(audio)).toBe(true)
    const ranges = twilio.asked.map(({ headers }) => [headers.range, headers['if-range']])
    expect(ranges).toEqual([
      [undefined, undefined],
      [`bytes=${100 * kb}-`, '"one"'],
      [`bytes=${100 * kb}-`, '"one"'],
      [`bytes=${200 * kb}-`, '"one"'],
    ])
    expect(new Set(twilio.asked.map(({ headers }) => headers.authorization))).toEqual(new Set([authorization]))
    expect(readdirSync(join(path, '..'))).toEqual(['recording.mp3'])
  })

  test('is continued by its date where it has no strong ETag', async () => {
    const date = 'Wed, 10 Dec 2025 14:23:19 GMT'
    const twilio = await serve(cutAfter(100 * kb, { etag: 'W/"one"', 'last-modified': date }), partFrom(100 * kb))
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
    expect(twilio.asked[1]?.headers['if-range']).toBe(date)
    expect(stored().equals(audio)).toBe(true)
  })

  test.each<[string, Answer]>([
    ['another one is answered', whole],
    ['Range is ignored', { status: 200, headers: { 'content-length': String(audio.length) }, body: audio }],
  ])('begins again when %s', async (_what, answer) => {
    const twilio = await serve(cutAfter(100 * kb), answer)
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
    expect(stored().equals(audio)).toBe(true)
    expect(twilio.asked).toHaveLength(2)
  })

  test.each<[string, Reply]>([
    ['another place', partFrom(99 * kb)],
    [
      'another length',
      partFrom(100 * kb, audio.length, { 'content-range': `bytes ${100 * kb}-${audio.length}/999999` }),
    ],
    ['no place', partFrom(100 * kb, audio.length, { 'content-range': 'nonsense' })],
    ['nothing more, and a shorter one', { status: 416, headers: { 'content-range': 'bytes */99' } }],
  ])('begins again after a continuation with %s', async (_what, answer) => {
    const twilio = await serve(cutAfter(100 * kb), answer, whole)
    expect((await fetchFrom(twilio.url)).ok).toBe(false)
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
    expect(stored().equals(audio)).toBe(true)
    expect(twilio.asked[2]?.headers.range).toBeUndefined()
  })

  test('is complete when nothing more is there', async () => {
    const all = cutAfter(audio.length, { 'content-length': String(audio.length), connection: 'close' })
    const gone: Reply = { status: 416, headers: { 'content-range': `bytes */${audio.length}` } }
    const twilio = await serve(cutAfter(100 * kb, { 'content-length': String(200 * kb) }), gone, all)
    expect((await fetchFrom(twilio.url)).ok).toBe(false)
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
  })

  test('is not continued in a part that was removed meanwhile', async () => {
    const twilio = await serve(cutAfter(10 * kb), partFrom(10 * kb), whole)
    expect((await fetchFrom(twilio.url)).ok).toBe(false)
    for (const name of readdirSync(join(path, '..'))) rmSync(join(path, '..', name))
    expect((await fetchFrom(twilio.url)).ok).toBe(false)
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
    expect(stored().equals(audio)).toBe(true)
  })

  test('and is slow is judged by its progress: each transfer continues where the last one ended', async () => {
    const twilio = await serve(...Array.from({ length: 4 }, (_, index) => stepOf(index)), whole)
    expect(await fetchFrom(twilio.url)).toEqual(fetched)
    expect(stored().equals(audio)).toBe(true)
    expect(twilio.asked.map(({ headers }) => headers.range ?? '')).toEqual([
      '',
      ...[1, 2, 3, 4].map((step) => `bytes=${step * 80 * kb}-`),
    ])
    function stepOf(index: number): Handler {
      return (_request, response) => {
        const { status, headers } = index === 0 ? { status: 200, headers: {} } : partFrom(index * 80 * kb)
        const bytes = audio.length - index * 80 * kb
        response.writeHead(status, { ...headers, etag: etagOfWhole, 'content-length': bytes })
        const step = audio.subarray(index * 80 * kb, (index + 1) * 80 * kb)
        response.write(step, () => response.socket?.end())
      }
    }
  })
})

describe('a chunked answer that ends early', () => {
  const speech = loadSpeech('flat-to-rent')
  const half = speech.mp3.subarray(0, speech.mp3.length / 2)
  const { duration_sec: durationSec } = speech

  test.each(['keep-alive', 'close'])('is not complete when it is cut off (connection: %s)', async (connection) => {
    const cut: Handler = (_request, response) => {
      response.writeHead(200, { connection })
      response.write(half, () => response.socket?.end())
    }
    const twilio = await serve(cut, recordingAnswer(speech.mp3))
    expect((await fetchFrom(twilio.url)).ok).toBe(false)
    expect((await fetchFrom(twilio.url)).ok).toBe(true)
    expect(stored().equals(speech.mp3)).toBe(true)
  })

  test.each<[string, Answer, number]>([
    ['continued', recordingAnswer(speech.mp3), 2],
    ['repeated by a server without Range', unmeasured(speech.mp3), 2],
    ['repeated after an error', { status: 500 }, 3],
  ])('in order is shorter than Twilio says, and is %s', async (_what, answer, requests) => {
    const twilio = await serve(unmeasured(half), answer, recordingAnswer(speech.mp3))
    const first = await fetchFrom(twilio.url, { durationSec })
    if (requests === 3) expect((await fetchFrom(twilio.url, { durationSec })).ok).toBe(true)
    else expect(first.ok).toBe(true)
    expect(stored().equals(speech.mp3)).toBe(true)
    expect(twilio.asked).toHaveLength(requests)
  })

  test.each<[string, Answer]>([
    ['a second time', unmeasured(half)],
    ['by a 416', { status: 416, headers: { 'content-range': `bytes */${half.length}` } }],
    ['by a bare 416', { status: 416 }],
  ])('is the whole when it comes out the same %s', async (_what, answer) => {
    const twilio = await serve(unmeasured(half), answer)
    expect(await fetchFrom(twilio.url, { durationSec })).toEqual({ ok: true, value: { bytes: half.length } })
    expect(twilio.asked).toHaveLength(2)
  })

  test.each([
    ['as long as Twilio says', speech.mp3, durationSec],
    ['of a length that Twilio does not say', half, null],
    ['that is no mp3', audio, 26],
  ])('is asked for once when it is %s', async (_what, body, seconds) => {
    const twilio = await serve(unmeasured(body))
    expect(await fetchFrom(twilio.url, { durationSec: seconds })).toEqual({ ok: true, value: { bytes: body.length } })
    expect(twilio.asked).toHaveLength(1)
  })

  test('the duration of an mp3 is that of its frames', async () => {
    for (const name of ['flat-to-rent', 'leaking-tap', 'property-to-market', 'reminder'] as const) {
      const file = new URL(`../src/demo/speech/${name}.mp3`, import.meta.url).pathname
      expect(Math.round((await mp3Seconds(file)) ?? 0)).toBeCloseTo(loadSpeech(name).duration_sec, -0.5)
    }
  })
})

describe('an answer that is empty', () => {
  test.each([{}, { 'content-length': '0' }, { 'transfer-encoding': 'chunked' }])(
    '(%o) is hopeless',
    async (headers) => {
      const twilio = await serve((_request, response) => void response.writeHead(200, headers).end())
      const error = 'the recording is empty'
      expect(await fetchFrom(twilio.url)).toEqual({ ok: false, setback: { kind: 'hopeless', error } })
    },
  )
})

describe('an answer that is too large', () => {
  test('is not read, and its error names its size and the limit', async () => {
    const twilio = await serve(
      (_request, response) => void response.writeHead(200, { 'content-length': 26_214_401 }).write('a'),
    )
    expect(await fetchFrom(twilio.url)).toEqual({
      ok: false,
      setback: {
        kind: 'hopeless',
        error: "the recording: got 26214401 bytes; expected at most 26214400 with the upload's form",
      },
    })
    expect(parts.size).toBe(0)
  })
})

describe('a redirect', () => {
  const to = (location: string, status = 302): Reply => ({ status, headers: { location } })

  test.each([301, 302, 303, 307, 308])(
    '(%s) to a host of RECORDING_HOSTS is followed without credentials',
    async (status) => {
      const bucket = await serve(whole)
      const twilio = await serve(to(`${bucket.url}/key?signature=a%2Fb`, status))
      for (const named of ['127.0.0.1', `127.0.0.1:${bucket.port}`]) {
        expect(await fetchFrom(twilio.url, { recordingHosts: ['other.example', named] })).toEqual(fetched)
      }
      expect(bucket.asked).toHaveLength(2)
      expect(bucket.asked[0]?.url).toBe('/key?signature=a%2Fb')
      expect(bucket.asked.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined])
    },
  )

  test('elsewhere is not followed, and the error says what to set', async () => {
    const bucket = await serve(whole)
    const twilio = await serve(to(`${bucket.url}/key`))
    for (const recordingHosts of [[], ['other.example'], [`127.0.0.1:${bucket.port + 1}`]]) {
      expect(await fetchFrom(twilio.url, { recordingHosts })).toEqual({
        ok: false,
        setback: {
          kind: 'refused',
          step: 'audio',
          error: `the recording is at 127.0.0.1:${bucket.port}, which is not TWILIO_API_URL's host: add it to RECORDING_HOSTS if it is yours`,
        },
      })
    }
    expect(bucket.asked).toEqual([])
  })

  test.each([
    'http://169.254.169.254/latest',
    'http://[::1]:1/',
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    '//10.0.0.1/',
  ])('to %s is not followed', async (location) => {
    const twilio = await serve(to(location))
    expect(await fetchFrom(twilio.url, { recordingHosts: ['127.0.0.1'] })).toMatchObject({
      setback: { kind: 'refused' },
    })
  })

  test('from a named host to one that is not, or back to Twilio, takes no credentials along', async () => {
    const private_ = await serve(whole)
    const bucket = await serve(to(`${private_.url}/private`))
    const twilio = await serve(to(`${bucket.url}/key`))
    const recordingHosts = [`127.0.0.1:${bucket.port}`]
    expect(await fetchFrom(twilio.url, { recordingHosts })).toMatchObject({ setback: { kind: 'refused' } })
    expect(private_.asked).toEqual([])

    const back = await serve((request, response) => {
      if (request.url === '/Accounts/secret') sendReply(response, { status: 401 })
      else sendReply(response, to(`${returning.url}/key`))
    })
    const returning = await serve(to(`${back.url}/Accounts/secret`))
    await fetchFrom(back.url, { recordingHosts: [`127.0.0.1:${returning.port}`] })
    expect(back.asked.map(({ headers }) => headers.authorization)).toEqual([authorization, undefined])
  })

  test('loop ends', async () => {
    const twilio = await serve(to('/again'))
    expect(await fetchFrom(twilio.url)).toMatchObject({ setback: { kind: 'outage' } })
    expect(twilio.asked).toHaveLength(4)
  })

  test('is followed again when a transfer is continued: it may be signed for a few minutes only', async () => {
    const bucket = await serve(cutAfter(100 * kb), partFrom(100 * kb))
    const twilio = await serve(to(`${bucket.url}/first`), to(`${bucket.url}/second`))
    expect(await fetchFrom(twilio.url, { recordingHosts: ['127.0.0.1'] })).toEqual(fetched)
    expect(bucket.asked.map(({ url, headers }) => [url, headers.range])).toEqual([
      ['/first', undefined],
      ['/second', `bytes=${100 * kb}-`],
    ])
  })

  test('over http is refused where TWILIO_API_URL is https', async () => {
    const refused = { setback: { kind: 'refused', error: expect.stringContaining('https') } }
    const url = 'http://bucket.example/key'
    expect(await fetchFrom('https://twilio.example', { url, recordingHosts: ['bucket.example'] })).toMatchObject(
      refused,
    )
  })
})

describe('the address', () => {
  test.each(['', '.mp3', '.wav', '.json', '.WAV'])('with the ending "%s" is that of the mp3', async (ending) => {
    const twilio = await serve(whole)
    expect(await fetchFrom(twilio.url, { url: `${twilio.url}/Recordings/RE1${ending}` })).toEqual(fetched)
    expect(twilio.asked.map(({ url }) => url)).toEqual(['/Recordings/RE1.mp3'])
  })

  test('at a host of RECORDING_HOSTS stays as it is', async () => {
    const [twilio, bucket] = [await serve(whole), await serve(whole)]
    const url = `${bucket.url}/a/RE1?signature=x`
    expect(await fetchFrom(twilio.url, { url, recordingHosts: ['127.0.0.1'] })).toEqual(fetched)
    expect(bucket.asked).toMatchObject([{ url: '/a/RE1?signature=x', headers: {} }])
    expect(bucket.asked[0]?.headers.authorization).toBeUndefined()
  })
})

describe('credentials', () => {
  test.each([401, 403])('that Twilio refuses (HTTP %s) are a setting that is wrong', async (status) => {
    const twilio = await serve({ status })
    const error = `the recording was answered with HTTP ${status}: correct TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN`
    expect(await fetchFrom(twilio.url)).toEqual({ ok: false, setback: { kind: 'refused', step: 'audio', error } })
  })

  test('a bucket that requires credentials has an error of its own', async () => {
    const bucket = await serve({ status: 403 })
    const twilio = await serve({ status: 302, headers: { location: bucket.url } })
    expect(await fetchFrom(twilio.url, { recordingHosts: ['127.0.0.1'] })).toMatchObject({
      setback: { kind: 'refused', error: expect.stringContaining(`by 127.0.0.1:${bucket.port}`) },
    })
  })
})
