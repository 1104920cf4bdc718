import type { Writable } from 'node:stream'
import { z } from 'zod'
import type { Config } from '../config.ts'
import { type AudioAnswer, mp3Url, refused, requestAudio } from './audio-request.ts'
import { maxUploadBytes } from './long-fetch.ts'
import { mp3Seconds } from './mp3-length.ts'
import { done, errorCode, type Outcome, setBack } from './outcome.ts'
import { NoSink, TooLongError } from './part-sink.ts'
import { PartialAudio } from './partial-audio.ts'
import { retryAfterMs } from './quick-retry.ts'

/** One run's time for a recording, in milliseconds; the next run continues where it ended. */
const maxTransferMs = 30 * 60_000
/** A transfer that made this much progress before it broke off is continued immediately, whatever the number of tries. */
const minProgressBytes = 64 * 1024

export const fetchedAudio = z.object({ bytes: z.number() })
export type FetchedAudio = z.infer<typeof fetchedAudio>

export interface AudioSource {
  url: string
  /** Twilio's RecordingDuration; `null`: not known. */
  durationSec: number | null
}

/** Parts of recordings by the path of the whole: what one run leaves, the next one of this process takes. */
export type AudioParts = Map<string, PartialAudio>

/**
 * Fetches a recording as mp3 into a file that only its owner can read; `path` is there when it is whole. A transfer that
 * breaks off is continued with `Range` (RFC 9110, 14), by this run or the next.
 */
export async function fetchAudio(
  settings: Config['twilio'],
  source: AudioSource,
  path: string,
  parts: AudioParts,
  signal: AbortSignal,
): Promise<Outcome<FetchedAudio>> {
  const url = mp3Url(settings, source.url)
  if (url === null) return setBack({ kind: 'hopeless', error: 'the recording has no URL that can be read' })
  const part = parts.get(path) ?? new PartialAudio(path)
  parts.delete(path)
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(maxTransferMs)])
  const outcome = await new AudioFetch(settings, url, source, part, deadline).run()
  if (outcome.ok) await part.finish(path)
  else if (part.bytes > 0 && outcome.setback.kind !== 'hopeless') parts.set(path, part)
  else await part.remove()
  return !outcome.ok && signal.aborted ? setBack({ kind: 'interrupted' }) : outcome
}

class AudioFetch {
  readonly #settings: Config['twilio']
  readonly #url: URL
  readonly #source: AudioSource
  readonly #part: PartialAudio
  readonly #signal: AbortSignal

  constructor(settings: Config['twilio'], url: URL, source: AudioSource, part: PartialAudio, signal: AbortSignal) {
    this.#settings = settings
    this.#url = url
    this.#source = source
    this.#part = part
    this.#signal = signal
  }

  async run(): Promise<Outcome<FetchedAudio>> {
    const part = this.#part
    while (true) {
      const before = part.bytes
      const outcome = await this.#transfer()
      if (outcome.ok && part.isWhole && !(await this.#isDoubtful())) return done({ bytes: part.bytes })
      const hasProgress = part.bytes - before >= minProgressBytes
      if (outcome.ok && !part.isWhole && !hasProgress) return setBack(brokenOff(part))
      if (!outcome.ok && (outcome.setback.kind !== 'outage' || !hasProgress || this.#signal.aborted)) return outcome
    }
  }

  /** One request. It succeeds when the answer has been read to its end, whether or not that is the whole. */
  async #transfer(): Promise<Outcome<null>> {
    const part = this.#part
    let verdict: Outcome<null> | null = null
    const receive = (answer: AudioAnswer): Writable => {
      verdict = this.#judge(answer)
      return verdict === null ? part.sink(part.total ?? maxUploadBytes) : new NoSink(answer.status < 300)
    }
    try {
      const asked = await requestAudio(this.#settings, this.#url, this.#rangeHeaders(), receive, this.#signal)
      await part.settle()
      if (!asked.ok) return asked
    } catch (error) {
      await part.settle().catch(() => undefined)
      verdict ??= this.#whyBroken(error)
    }
    if (verdict !== null) return verdict
    const isEmpty = part.bytes === 0 && (part.total ?? 0) === 0
    return isEmpty ? setBack({ kind: 'hopeless', error: 'the recording is empty' }) : done(null)
  }

  #whyBroken(error: unknown): Outcome<never> {
    const part = this.#part
    if (error instanceof TooLongError && part.total === null) return setBack(tooLong(`over ${maxUploadBytes}`))
    if (error instanceof TooLongError) {
      part.restart(null, null)
      return setBack({ kind: 'outage', error: 'the recording is longer than announced' })
    }
    const progress = part.bytes > 0 ? ` after ${part.bytes} bytes` : ''
    return setBack({ kind: 'outage', error: `the recording could not be fetched${progress}: ${errorCode(error)}` })
  }

  #rangeHeaders(): Record<string, string> {
    const { bytes, validator } = this.#part
    // Bytes are counted as stored, after decoding.
    const plain = { 'accept-encoding': 'identity' }
    if (bytes === 0) return plain
    const condition = validator === null ? {} : { 'if-range': validator }
    return { ...plain, range: `bytes=${bytes}-`, ...condition }
  }

  /** The setback that an answer's head implies; `null`: the body is the recording or its missing part. */
  #judge(answer: AudioAnswer): Outcome<null> | null {
    const part = this.#part
    const { status, headers } = answer
    if (status === 416) return this.#judgeNoMore(headers)
    if (status !== 200 && status !== 206) return unsuccessful(answer)
    if (status === 200) part.restart(validatorOf(headers), lengthOf(headers))
    else {
      const range = contentRange(headers)
      const isSame = part.total === null || range?.total === null || range?.total === part.total
      if (range?.start !== part.bytes || !isSame) {
        part.restart(null, null)
        return setBack({ kind: 'outage', error: 'the recording was resumed at the wrong position' })
      }
      if (range.total !== null) part.learnTotal(range.total)
    }
    return part.total !== null && part.total > maxUploadBytes ? setBack(tooLong(`${part.total}`)) : null
  }

  /** 416: there is nothing after the bytes that are here. The answer may state the size. */
  #judgeNoMore(headers: Headers): Outcome<null> {
    const part = this.#part
    const total = contentRange(headers)?.total ?? null
    if (total === part.bytes) part.learnTotal(total)
    if (total === part.bytes || (total === null && part.total === null)) return done(null)
    part.restart(null, null)
    return setBack({ kind: 'outage', error: 'the recording is shorter than the part already fetched' })
  }

  /** An mp3 without Content-Length that ends well before Twilio's duration was cut short in transit. */
  async #isDoubtful(): Promise<boolean> {
    const { durationSec } = this.#source
    if (this.#part.total !== null || durationSec === null) return false
    const seconds = await mp3Seconds(this.#part.file)
    return seconds !== null && seconds < durationSec * 0.95 - 1 && this.#part.doubt()
  }
}

function unsuccessful({ status, headers, host, isTwilio }: AudioAnswer): Outcome<never> {
  const error = `the recording was answered with HTTP ${status}`
  if (status === 404) return setBack({ kind: 'absent', error })
  if (status === 410) return setBack({ kind: 'hopeless', error })
  if (status === 401 || status === 403) {
    if (isTwilio) return refused(`${error}: correct TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN`)
    return refused(`${error} by ${host}: allow this process to read it without credentials`)
  }
  const wait = retryAfterMs(headers['retry-after']?.toString())
  return setBack({ kind: 'outage', error, ...(wait === undefined ? {} : { afterMs: wait }) })
}

const brokenOff = ({ bytes, total }: PartialAudio) => ({
  kind: 'outage' as const,
  error: `the recording: got ${bytes} bytes; expected ${total}`,
})

const tooLong = (bytes: string) => ({
  kind: 'hopeless' as const,
  error: `the recording: got ${bytes} bytes; expected at most ${maxUploadBytes} with the upload's form`,
})

type Headers = AudioAnswer['headers']

/** A weak ETag does not promise the same bytes (RFC 9110, 13.1.5). */
function validatorOf(headers: Headers): string | null {
  const etag = headers['etag']?.toString()
  if (etag?.startsWith('"')) return etag
  return headers['last-modified']?.toString() ?? null
}

function lengthOf(headers: Headers): number | null {
  const length = headers['content-length']?.toString() ?? ''
  return /^\d{1,15}$/.test(length) ? Number(length) : null
}

/** `Content-Range` (RFC 9110, 14.4); `start` is -1 in an answer that has no bytes. */
function contentRange(headers: Headers): { start: number; total: number | null } | null {
  const match = /^bytes (?:(\d{1,15})-\d{1,15}|\*)\/(\d{1,15}|\*)$/i.exec(headers['content-range']?.toString() ?? '')
  if (match === null) return null
  const [, start = '-1', total = '*'] = match
  return { start: Number(start), total: total === '*' ? null : Number(total) }
}
