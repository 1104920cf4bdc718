import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Agent, type Dispatcher, request } from 'undici'
import { z } from 'zod'
import { twilioAuthorization } from '../calls/twilio-api.ts'
import type { Config } from '../config.ts'
import { done, errorCode, type Outcome, setBack } from './outcome.ts'
import { retryAfterMs } from './quick-retry.ts'

/** OpenAI's limit for an upload (its API reference, "Create transcription": 25 MB). */
const longestAudioBytes = 25 * 1024 * 1024
/** A whole transfer, in milliseconds: 25 MB at 2 Mbit/s take 100 s. */
const deadlineMs = 120_000
const mostRedirects = 3

const agent = new Agent({ connect: { timeout: 10_000 }, headersTimeout: 30_000, bodyTimeout: 30_000 })

export const fetchedAudio = z.object({ bytes: z.number() })
export type FetchedAudio = z.infer<typeof fetchedAudio>

/** The recording is longer than the transcription takes; its length is not known when it stopped being read. */
class TooLongError extends Error {}

/**
 * Fetches a recording as mp3 into a file that only its owner can read, in one request; `path` is there when it is
 * whole. The account's credentials go to the host of `TWILIO_API_URL` alone, also when Twilio redirects.
 */
export async function fetchAudio(
  settings: Config['twilio'],
  recordingUrl: string,
  path: string,
  signal: AbortSignal,
): Promise<Outcome<FetchedAudio>> {
  const authorization = twilioAuthorization(settings)
  if (authorization === null) {
    return setBack({ kind: 'outage', error: 'TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set' })
  }
  const url = mp3Url(recordingUrl)
  if (url === null) return setBack({ kind: 'hopeless', error: 'the recording has no URL that can be read' })
  const both = AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)])
  try {
    const answer = await requestFrom(url, new URL(settings.apiUrl).origin, authorization, both)
    if (!answer.ok) return answer
    return await readAnswer(answer.value, path, both)
  } catch (error) {
    if (signal.aborted) return setBack({ kind: 'interrupted' })
    return setBack({ kind: 'outage', error: `the recording could not be fetched: ${errorCode(error)}` })
  }
}

function mp3Url(recordingUrl: string): URL | null {
  const url = URL.parse(recordingUrl)
  if (url === null) return null
  url.username = ''
  url.password = ''
  if (!url.pathname.endsWith('.mp3')) url.pathname += '.mp3'
  return url
}

async function requestFrom(
  first: URL,
  origin: string,
  authorization: string,
  signal: AbortSignal,
): Promise<Outcome<Dispatcher.ResponseData>> {
  let url = first
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    if (url.origin !== origin) {
      return setBack({ kind: 'hopeless', error: `the recording is at ${url.host}, which is not TWILIO_API_URL's host` })
    }
    const answer = await request(url, { dispatcher: agent, headers: { authorization }, signal })
    const location = answer.headers['location']
    if (answer.statusCode < 300 || answer.statusCode > 399 || typeof location !== 'string') return done(answer)
    await answer.body.dump()
    const next: URL | null = URL.parse(location, url.href)
    if (next === null) break
    url = next
  }
  return setBack({ kind: 'outage', error: 'the recording is redirected without end' })
}

async function readAnswer(
  answer: Dispatcher.ResponseData,
  path: string,
  signal: AbortSignal,
): Promise<Outcome<FetchedAudio>> {
  const { statusCode, headers, body } = answer
  if (statusCode !== 200) {
    await body.dump()
    const error = `the recording was answered with HTTP ${statusCode}`
    if (statusCode === 404) return setBack({ kind: 'absent', error })
    if (statusCode === 410) return setBack({ kind: 'hopeless', error })
    const wait = retryAfterMs(headers['retry-after']?.toString())
    return setBack({ kind: 'outage', error, ...(wait === undefined ? {} : { afterMs: wait }) })
  }
  const part = `${path}.${randomUUID()}.part`
  let bytes = 0
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      bytes += chunk.length
      callback(bytes > longestAudioBytes ? new TooLongError() : null, chunk)
    },
  })
  try {
    await pipeline(body, counter, createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true }), { signal })
    if (bytes === 0) return setBack({ kind: 'hopeless', error: 'the recording is empty' })
    await rename(part, path)
    return done({ bytes })
  } catch (error) {
    if (!(error instanceof TooLongError)) throw error
    return setBack({ kind: 'hopeless', error: `the recording is over ${longestAudioBytes} bytes` })
  } finally {
    await rm(part, { force: true })
  }
}
