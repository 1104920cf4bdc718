import { readFile } from 'node:fs/promises'
import OpenAI, { APIConnectionError, APIError } from 'openai'
import type { Config } from '../config.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { longFetch } from './long-fetch.ts'
import { effortFor, transcriptionParameters } from './model-parameters.ts'
import { countUsage } from './model-usage.ts'
import { done, errorCode, type Outcome, type Service, type Setback, setBack, storableText } from './outcome.ts'
import type { Pause } from './pause.ts'
import { retryAfterMs, retryQuickly } from './quick-retry.ts'

/** Whole requests, in milliseconds: an hour of speech takes a slow server many minutes. */
const transcriptionDeadlineMs = 15 * 60_000
const languageDeadlineMs = 120_000

export interface Message {
  role: 'system' | 'user'
  content: string
}

/** The client's way to ask for structured output. */
export type ResponseFormat = OpenAI.ResponseFormatJSONSchema

/**
 * OpenAI, or a server that speaks its protocol. Its errors become setbacks here; the client's own retries are off. An
 * answer tells the pause that the service works.
 */
export class OpenAiService {
  readonly #settings: Config['openai']
  readonly #client: OpenAI | null
  readonly #pause: Pause
  readonly #quickRetryMs: number
  readonly #metrics: Metrics

  constructor(settings: Config['openai'], pause: Pause, quickRetryMs: number, metrics: Metrics) {
    this.#settings = settings
    this.#pause = pause
    this.#quickRetryMs = quickRetryMs
    this.#metrics = metrics
    const { apiKey, baseUrl } = settings
    const options = {
      // A server of one's own may want no key, but the client does.
      apiKey: apiKey ?? 'none',
      baseURL: baseUrl ?? 'https://api.openai.com/v1',
      maxRetries: 0,
      fetch: longFetch,
      logLevel: 'off' as const,
    }
    this.#client = apiKey === null && baseUrl === null ? null : new OpenAI(options)
  }

  /**
   * The text of an mp3; as it came, but for what no database can hold.
   *
   * @param language as OpenAI's `language` (ISO 639-1); `''`: to be found out.
   */
  async transcribe(path: string, language: string, signal: AbortSignal): Promise<Outcome<string>> {
    return this.#ask('transcription', signal, async (client) => {
      // Whole: of a file that another run of the call removes meanwhile, a blob that streams it would reject where nobody
      // listens, and the process would end.
      const audio = await readFile(path)
      const answer = await client.audio.transcriptions.create(
        {
          file: new File([audio], 'recording.mp3', { type: 'audio/mpeg' }),
          model: this.#settings.transcribeModel,
          response_format: 'json',
          ...transcriptionParameters(this.#settings.transcribeModel, language),
        },
        { signal, timeout: transcriptionDeadlineMs },
      )
      countUsage(this.#metrics, 'transcript', answer.usage)
      if (typeof answer.text === 'string') return done(storableText(answer.text))
      return setBack({ kind: 'unusable', error: 'the transcription was answered without a text' })
    })
  }

  /**
   * @param step what it is asked for.
   * @param read turns the answer's text into a result, or `null` when it is none.
   */
  async chat<T>(
    step: 'summary' | 'extraction',
    messages: Message[],
    format: ResponseFormat | null,
    read: (text: string) => T | null,
    signal: AbortSignal,
  ): Promise<Outcome<T>> {
    return this.#ask('language model', signal, async (client) => {
      const { summaryModel, reasoningEffort } = this.#settings
      const effort = effortFor(summaryModel, reasoningEffort)
      const answer = await client.chat.completions.create(
        {
          model: summaryModel,
          messages,
          ...(effort === null ? {} : { reasoning_effort: effort }),
          ...(format ? { response_format: format } : {}),
        },
        { signal, timeout: languageDeadlineMs },
      )
      countUsage(this.#metrics, step, answer.usage)
      const text = answer.choices?.[0]?.message?.content
      const result = typeof text === 'string' ? read(storableText(text)) : null
      if (result !== null) return done(result)
      return setBack({ kind: 'unusable', error: 'the language model gave no answer of the form that was asked for' })
    })
  }

  async #ask<T>(
    service: Service,
    signal: AbortSignal,
    request: (client: OpenAI) => Promise<Outcome<T>>,
  ): Promise<Outcome<T>> {
    const client = this.#client
    if (client === null) return setBack({ kind: 'refused', service, error: 'OPENAI_API_KEY is not set' })
    const attempt = async (): Promise<Outcome<T>> => {
      const startedAt = performance.now()
      try {
        const outcome = await request(client)
        this.#pause.answered(service, startedAt)
        return outcome
      } catch (error) {
        return setBack(setbackOf(error, service, signal))
      }
    }
    return retryQuickly(attempt, this.#quickRetryMs, signal)
  }
}

function setbackOf(error: unknown, service: Service, signal: AbortSignal): Setback {
  if (signal.aborted) return { kind: 'interrupted' }
  if (!(error instanceof APIError) || error instanceof APIConnectionError) {
    return { kind: 'outage', error: `the ${service} could not be asked: ${errorCode(error)}` }
  }
  const { status } = error as APIError
  const code = [error.code, error.type].find((text) => typeof text === 'string' && /^[\w.-]{1,64}$/.test(text))
  const text = `the ${service} was answered with HTTP ${status}${code ? ` (${code})` : ''}`
  if (isRefusal(status, error)) return { kind: 'refused', service, error: text }
  if (status === 408 || status === 409 || status === 429 || status === undefined || status >= 500) {
    const afterMs = retryAfterMs(error.headers?.get('retry-after'))
    return { kind: 'outage', error: text, ...(afterMs === undefined ? {} : { afterMs }) }
  }
  return { kind: service === 'transcription' && isAboutTheAudio(error) ? 'hopeless' : 'unusable', error: text }
}

/** A key, a quota or a model that is not ours to use: no call is at fault (OpenAI's documentation, "Error codes"). */
function isRefusal(status: number | undefined, error: APIError): boolean {
  if (status === 401 || status === 402 || status === 403 || status === 404) return true
  return status === 429 && [error.code, error.type].includes('insufficient_quota')
}

/** OpenAI names the parameter that it does not like, if it can; the settings are not the audio's fault. */
const isAboutTheAudio = (error: APIError): boolean =>
  [400, 413, 415, 422].includes(Number(error.status)) && (error.param ?? 'file') === 'file'
