import type { IncomingMessage } from 'node:http'
import { Ledger } from './ledger.ts'
import { type LoopbackServer, readBody, startLoopbackServer } from './loopback-server.ts'
import { badRequest, openAiErrors } from './openai-errors.ts'
import {
  type ChatRequest,
  chatCompletion,
  readChatRequest,
  readTranscriptionRequest,
  type TranscriptionRequest,
  transcription,
} from './openai-messages.ts'
import { describeModel, type OpenAiModels, openAiModels, refuseChat, refuseTranscription } from './openai-models.ts'
import { type Answer, jsonReply, ScriptedAnswers } from './scripted-answers.ts'

/** What the stand-in knows; `null` from `transcribe` refuses the audio as OpenAI refuses a broken file. */
export interface OpenAiMind {
  transcribe(request: TranscriptionRequest): string | null
  /** The answer's text; for structured output the JSON text, or a value to be written as such. */
  chat(request: ChatRequest): unknown
}

export type OpenAiRequest =
  | { path: '/audio/transcriptions'; at: number; transcription: TranscriptionRequest }
  | { path: '/chat/completions'; at: number; chat: ChatRequest }
  | { path: '/models'; at: number; model: string }

/** The three calls of the OpenAI API that Callbox makes, behind a bearer key. */
export interface OpenAiStandIn extends LoopbackServer {
  /** What `OPENAI_BASE_URL` takes: ends in `/v1`. */
  baseUrl: string
  /** Requests with the right key, scripted failures included. */
  requests: readonly OpenAiRequest[]
  /** The models that it has, by name. */
  models: OpenAiModels
  /** Answers instead of the usual one, by `/audio/transcriptions`, `/chat/completions` or `/models`; see `openAiErrors`. */
  answers: ScriptedAnswers
  /** Decides by the request, before `answers`; `null` leaves it to those. */
  refuse: (request: OpenAiRequest) => Answer | null
}

/** OpenAI takes audio up to 25 MB; its multipart frame comes on top. */
const bodyLimit = 26 * 1024 * 1024

/** @param port 0: any free port. */
export async function startOpenAiStandIn(apiKey: string, mind: OpenAiMind, port = 0): Promise<OpenAiStandIn> {
  const answers = new ScriptedAnswers()
  const ledger = new Ledger<OpenAiRequest>(10_000)
  const models = openAiModels()

  const answerTo = (request: OpenAiRequest): Answer => {
    const scripted = standIn.refuse(request) ?? answers.next(request.path)
    if (scripted) return scripted
    if ('model' in request) return describeModel(models, request.model)
    if ('chat' in request) {
      const refusal = refuseChat(models, request.chat)
      return refusal ?? jsonReply(200, chatCompletion(request.chat, mind.chat(request.chat)))
    }
    const refusal = refuseTranscription(models, request.transcription)
    if (refusal !== null) return refusal
    const text = mind.transcribe(request.transcription)
    return text === null ? openAiErrors.badAudio : transcription(request.transcription, text)
  }

  const read = async (request: IncomingMessage, body: Buffer): Promise<OpenAiRequest | null> => {
    const path = (request.url ?? '').replace(/^\/v1/, '')
    const at = Date.now()
    const [, model] = path.match(/^\/models\/([^/?]+)$/) ?? []
    if (request.method === 'GET' && model !== undefined)
      return { path: '/models', at, model: decodeURIComponent(model) }
    if (request.method !== 'POST') return null
    if (path === '/chat/completions') return { path, at, chat: readChatRequest(body) }
    if (path !== '/audio/transcriptions') return null
    const contentType = request.headers['content-type'] ?? ''
    return { path, at, transcription: await readTranscriptionRequest(body, contentType) }
  }

  const decide = async (request: IncomingMessage, body: Buffer): Promise<Answer> => {
    if (request.headers.authorization !== `Bearer ${apiKey}`) return openAiErrors.badKey
    try {
      const known = await read(request, body)
      return known ? answerTo(ledger.add(known)) : openAiErrors.unknownUrl
    } catch (error) {
      return badRequest(error instanceof Error ? error.message : 'the request cannot be read')
    }
  }

  const server = await startLoopbackServer(async (request, response) => {
    const body = await readBody(request, bodyLimit)
    answers.give(await decide(request, body), request, response)
  }, port)

  const standIn: OpenAiStandIn = {
    ...server,
    baseUrl: `${server.url}/v1`,
    requests: ledger.entries,
    models,
    answers,
    refuse: () => null,
  }
  return standIn
}
