import { createHash, randomUUID } from 'node:crypto'
import { z } from 'zod'
import { jsonReply, type Reply } from './scripted-answers.ts'

export interface TranscriptionRequest {
  fileName: string
  /** Size of the uploaded file in bytes. */
  bytes: number
  /** SHA-256 of the uploaded file, in hex. */
  sha256: string
  model: string
  /** ISO 639-1, or `''`. */
  language: string
  /** ISO 639-1. */
  languages: string[]
  prompt: string
  /** `json`, `verbose_json` or `text`. */
  responseFormat: string
  /** The names of all fields but `file`, `model` and `response_format`. */
  fields: string[]
}

/** @throws Error when it is not a multipart form with a `file` and a `model`. */
export async function readTranscriptionRequest(body: Buffer, contentType: string): Promise<TranscriptionRequest> {
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } }).formData()
  const file = form.get('file')
  const text = (name: string): string => {
    const value = form.get(name)
    return typeof value === 'string' ? value : ''
  }
  if (!(file instanceof File) || text('model') === '') throw new Error('a transcription needs a file and a model')
  const bytes = Buffer.from(await file.arrayBuffer())
  return {
    fileName: file.name,
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    model: text('model'),
    language: text('language'),
    languages: form.getAll('languages[]').filter((value) => typeof value === 'string'),
    prompt: text('prompt'),
    responseFormat: text('response_format') || 'json',
    fields: [...form.keys()].filter((name) => !['file', 'model', 'response_format'].includes(name)),
  }
}

export function transcription(request: TranscriptionRequest, text: string): Reply {
  if (request.responseFormat === 'text') {
    return { status: 200, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${text}\n` }
  }
  const usage = { type: 'duration', seconds: 1 }
  if (request.model === 'gpt-transcribe') {
    return jsonReply(200, { text, languages: request.languages.map((code) => ({ code })), usage })
  }
  if (request.responseFormat !== 'verbose_json') return jsonReply(200, { text, usage })
  const language = new Intl.DisplayNames('en', { type: 'language' }).of(request.language || 'en')?.toLowerCase()
  return jsonReply(200, { task: 'transcribe', language, duration: 1, text, segments: [], usage })
}

const part = z.object({ type: z.string(), text: z.string().default('') })
const chatRequest = z.strictObject({
  model: z.string(),
  reasoning_effort: z.string().optional(),
  messages: z.array(z.object({ role: z.string(), content: z.union([z.string(), z.array(part)]) })),
  response_format: z
    .object({ type: z.string(), json_schema: z.object({ name: z.string(), schema: z.json() }).optional() })
    .optional(),
})

export interface ChatRequest {
  model: string
  /** `''`: none was sent. */
  effort: string
  messages: { role: string; text: string }[]
  /** `json_schema`, `json_object` or `text`. */
  format: string
  /** The JSON schema that the answer must fit; `null`: plain text is asked for. */
  schema: unknown
}

/** @throws Error when it is not a chat completion request. */
export function readChatRequest(body: Buffer): ChatRequest {
  const { model, reasoning_effort, messages, response_format } = chatRequest.parse(JSON.parse(body.toString('utf8')))
  return {
    model,
    effort: reasoning_effort ?? '',
    messages: messages.map(({ role, content }) => ({
      role,
      text: typeof content === 'string' ? content : content.map(({ text }) => text).join(''),
    })),
    format: response_format?.type ?? 'text',
    schema: response_format?.json_schema?.schema ?? null,
  }
}

/** @param answer text, or a value that is written as JSON. */
export function chatCompletion(request: ChatRequest, answer: unknown): unknown {
  return {
    id: `chatcmpl-${randomUUID()}`,
    object: 'chat.completion',
    created: Math.floor(Date.now() / 1000),
    model: request.model,
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: typeof answer === 'string' ? answer : JSON.stringify(answer),
          refusal: null,
          annotations: [],
        },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  }
}
