import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { beforeAll, describe, expect, test } from 'vitest'
import { type Handler, startLoopbackServer } from '../src/demo/loopback-server.ts'
import { readTranscriptionRequest } from '../src/demo/openai-messages.ts'
import { jsonReply, sendReply } from '../src/demo/scripted-answers.ts'
import { longFetch, maxUploadBytes, whyTooLarge } from '../src/pipeline/long-fetch.ts'
import { withUpload } from '../src/pipeline/upload.ts'
import { atEnd } from './helpers/at-end.ts'
import { eventually } from './helpers/eventually.ts'

const mb = 1024 * 1024
let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'callbox-upload-'))
  atEnd(async () => rmSync(directory, { recursive: true, force: true }))
})

const audioOf = (bytes: number): Buffer => Buffer.alloc(bytes, 'a recording of some length ')
const place = (name: string, audio: Buffer): string => {
  const path = join(directory, name)
  writeFileSync(path, audio)
  return path
}

/** The real client and a server that handles the upload as given. */
async function clientOf(handler: Handler): Promise<OpenAI> {
  const server = await startLoopbackServer(handler)
  atEnd(server.close)
  return new OpenAI({ apiKey: 'key', baseURL: `${server.url}/v1`, fetch: longFetch, maxRetries: 0, logLevel: 'off' })
}

const upload = (client: OpenAI, path: string, more: { prompt?: string } = {}, signal?: AbortSignal) =>
  withUpload(path, (file) =>
    client.audio.transcriptions.create({ file, model: 'gpt-transcribe', response_format: 'json', ...more }, { signal }),
  )

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('an upload', () => {
  test('is the form that it should be, with its exact length', async () => {
    const audio = audioOf(3 * mb)
    const text = 'line\nline\r\n"quoted" שלום'
    const client = await clientOf(async (request, response) => {
      const body = await bodyOf(request)
      expect(request.headers['content-length']).toBe(String(body.length))
      const form = await readTranscriptionRequest(body, request.headers['content-type'] ?? '')
      sendReply(response, jsonReply(200, { text: JSON.stringify(form) }))
    })
    const { text: form } = await upload(client, place('form.mp3', audio), { prompt: text })
    expect(JSON.parse(form)).toMatchObject({
      fileName: 'recording.mp3',
      bytes: audio.length,
      sha256: createHash('sha256').update(audio).digest('hex'),
      model: 'gpt-transcribe',
      language: '',
      prompt: text.replace(/\r?\n/g, '\r\n'),
      responseFormat: 'json',
    })
    expect(readdirSync(directory)).toEqual(['form.mp3'])
  })

  test('is read from the disk while it is sent: ten of 24 MB are not in memory together', async () => {
    const read = Promise.withResolvers<void>()
    let arrived = 0
    const client = await clientOf(async (request, response) => {
      arrived++
      await read.promise
      let bytes = 0
      for await (const chunk of request) bytes += chunk.length
      sendReply(response, jsonReply(200, { text: String(bytes) }))
    })
    const path = place('large.mp3', audioOf(24 * mb))
    const before = process.memoryUsage().arrayBuffers
    const answers = Array.from({ length: 10 }, () => upload(client, path))
    await eventually('all of them wait for the server', () => arrived === 10)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * mb)
    read.resolve()
    for (const { text } of await Promise.all(answers)) expect(Number(text)).toBeGreaterThan(24 * mb)
    expect(readdirSync(directory).filter((name) => name.endsWith('.upload'))).toEqual([])
  })

  test('may have 26214400 bytes with its form, and is not sent with one more', async () => {
    let requests = 0
    const client = await clientOf(async (request, response) => {
      requests++
      sendReply(response, jsonReply(200, { text: String((await bodyOf(request)).length) }))
    })
    const form = Number((await upload(client, place('one.mp3', audioOf(1)))).text) - 1
    const path = place('fits.mp3', audioOf(maxUploadBytes - form))
    expect((await upload(client, path)).text).toBe('26214400')
    const bytes = maxUploadBytes - form + 1
    const refused = upload(client, place('larger.mp3', audioOf(bytes)))
    const error = await refused.then(() => null, whyTooLarge)
    expect(error).toBe(`the recording: got ${bytes} bytes, 26214401 with the upload's form; expected at most 26214400`)
    expect(requests).toBe(2)
  })

  test.each<[string, Handler, RegExp]>([
    ['cut', (request) => void request.once('data', () => request.socket.resetAndDestroy()), /Connection error/],
    [
      'answered before it is read',
      (_request, response) => sendReply(response, { status: 413 }),
      /413|Connection error/,
    ],
    [
      'answered with a web page',
      (_request, response) => sendReply(response, { status: 200, headers: { 'content-type': 'text/html' } }),
      /Connection error/,
    ],
  ])('that is %s fails alone', async (_what, handler, error) => {
    const client = await clientOf(handler)
    await expect(upload(client, place('failing.mp3', audioOf(20 * mb)))).rejects.toThrow(error)
    expect(readdirSync(directory).filter((name) => name.endsWith('.upload'))).toEqual([])
  })

  test('ends when it is aborted, and goes on when its recording is removed', async () => {
    const read = Promise.withResolvers<void>()
    let arrived = 0
    const client = await clientOf(async (request, response) => {
      arrived++
      await read.promise
      sendReply(response, jsonReply(200, { text: String((await bodyOf(request)).length) }))
    })
    const path = place('removed.mp3', audioOf(20 * mb))
    const aborting = new AbortController()
    const aborted = upload(client, path, {}, aborting.signal)
    const removed = upload(client, path)
    await eventually('both are under way', () => arrived === 2)
    aborting.abort()
    await expect(aborted).rejects.toThrow('aborted')
    rmSync(path)
    read.resolve()
    expect(Number((await removed).text)).toBeGreaterThan(20 * mb)
  })
})
