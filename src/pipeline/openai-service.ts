import type OpenAI from 'openai'
import { z } from 'zod'
import type { Config } from '../config.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { type AnswerBody, readAnswerBody } from './answers/answer-body.ts'
import { readChatAnswer } from './answers/chat-answer.ts'
import { readTranscriptionAnswer } from './answers/transcription-answer.ts'
import { usable } from './answers/usable.ts'
import { serviceName } from './fault-table.ts'
import { effortFor, transcriptionParameters } from './model-parameters.ts'
import type { ModelRequests } from './model-requests.ts'
import { countUsage } from './model-usage.ts'
import { type ModelStep, type Outcome, storableText } from './outcome.ts'
import type { OptionalPart } from './server-memory.ts'
import { rejectErrorInAnswer } from './service-failure.ts'
import { withUpload } from './upload.ts'

/** Whole requests, in milliseconds: an hour of speech takes a slow server many minutes. */
const transcriptionDeadlineMs = 15 * 60_000
const languageDeadlineMs = 120_000

export interface Message {
  role: 'system' | 'user'
  content: string
}

/** The client's way to ask for structured output. */
export type ResponseFormat = OpenAI.ResponseFormatJSONSchema

/** OpenAI, or a server that speaks its protocol: what is sent, and how the answers are read. */
export class OpenAiService {
  readonly #settings: Config['openai']
  readonly #requests: ModelRequests
  readonly #metrics: Metrics

  constructor(settings: Config['openai'], requests: ModelRequests, metrics: Metrics) {
    this.#settings = settings
    this.#requests = requests
    this.#metrics = metrics
  }

  /**
   * The text of an mp3; as it came, but for what no database can hold.
   *
   * @param language as OpenAI's `language` (ISO 639-1); `''`: to be found out.
   * @param onHint called after a transcription with a language: whether the server took that.
   */
  async transcribe(
    path: string,
    language: string,
    onHint: (isTaken: boolean) => Promise<void>,
    signal: AbortSignal,
  ): Promise<Outcome<string>> {
    const model = this.#settings.transcribeModel
    let isHintTaken: boolean | null = null
    const send = async (client: OpenAI, parts: ReadonlySet<OptionalPart>): Promise<Outcome<string>> => {
      const response = await withUpload(path, (file) =>
        client.audio.transcriptions
          .create(
            {
              file,
              model,
              response_format: 'json',
              ...transcriptionParameters(model, parts.has('language') ? language : ''),
            },
            within(transcriptionDeadlineMs, signal),
          )
          .asResponse(),
      )
      const body = await this.#readBody('transcript', response)
      isHintTaken = parts.has('language')
      return usable(`the ${serviceName('transcript')}`, () => readTranscriptionAnswer(body))
    }
    const optional = language === '' ? [] : (['language'] as const)
    const question = { step: 'transcript' as const, model, optional, language, silence: '', send }
    const outcome = await this.#requests.ask(question, signal)
    if (outcome.ok && language !== '' && isHintTaken !== null) await onHint(isHintTaken)
    return outcome
  }

  /**
   * @param step what it is asked for.
   * @param read turns the answer's text into a result. @throws {UnusableAnswer} when it is none.
   */
  async chat<T>(
    step: 'summary' | 'extraction',
    messages: Message[],
    format: ResponseFormat | null,
    read: (text: string) => T,
    signal: AbortSignal,
  ): Promise<Outcome<T>> {
    const { summaryModel: model, reasoningEffort } = this.#settings
    const effort = effortFor(model, reasoningEffort)
    const send = async (client: OpenAI, parts: ReadonlySet<OptionalPart>): Promise<Outcome<T>> => {
      const response = await client.chat.completions
        .create(
          {
            model,
            ...(effort !== null && parts.has('reasoning_effort') ? { reasoning_effort: effort } : {}),
            ...formatted(messages, format, parts),
          },
          within(languageDeadlineMs, signal),
        )
        .asResponse()
      const body = await this.#readBody(step, response)
      return usable(`the ${serviceName(step)}`, () => read(storableText(readChatAnswer(body))))
    }
    const optional: OptionalPart[] = format ? ['json_schema', 'json_object'] : []
    if (effort !== null) optional.push('reasoning_effort')
    return this.#requests.ask({ step, model, optional, language: '', send }, signal)
  }

  /** Counts tokens even if the answer is unusable: it was paid for. @throws Error for an answer that is an error. */
  async #readBody(step: ModelStep, response: Response): Promise<AnswerBody> {
    const body = await readAnswerBody(response)
    const { usage } = z.object({ usage: z.unknown().optional() }).catch({ usage: null }).parse(body.json)
    countUsage(this.#metrics, step, usage)
    rejectErrorInAnswer(response.headers, body)
    return body
  }
}

/** The client's own timeout ends with the headers of an answer. */
const within = (deadlineMs: number, signal: AbortSignal): { signal: AbortSignal; timeout: number } => ({
  signal: AbortSignal.any([signal, AbortSignal.timeout(deadlineMs)]),
  timeout: deadlineMs,
})

/** The strictest response format that the server supports; the prompt asks for the rest. */
function formatted(
  messages: Message[],
  format: ResponseFormat | null,
  parts: ReadonlySet<OptionalPart>,
): Pick<OpenAI.ChatCompletionCreateParamsNonStreaming, 'messages' | 'response_format'> {
  if (format === null) return { messages }
  if (parts.has('json_schema')) return { messages, response_format: format }
  const schema = JSON.stringify(format.json_schema.schema)
  const demand = `Answer with one JSON object and nothing else. It fits this JSON schema: ${schema}`
  const explained = messages.map((message) =>
    message.role === 'system' ? { ...message, content: `${message.content}\n${demand}` } : message,
  )
  if (!parts.has('json_object')) return { messages: explained }
  return { messages: explained, response_format: { type: 'json_object' } }
}
