import { badParameter, unknownModel } from './openai-errors.ts'
import type { ChatRequest, TranscriptionRequest } from './openai-messages.ts'
import { jsonReply, type Reply } from './scripted-answers.ts'

/** What the stand-in knows of a model, by OpenAI's model pages of December 2026. */
export interface OpenAiModel {
  /** `YYYY-MM-DD`; `null`: not announced. */
  shutdownDate: string | null
  /** Fields of a transcription besides `file`, `model` and `response_format`; `null`: it does not transcribe. */
  fields: readonly string[] | null
  /** Formats of a transcription. */
  formats: readonly string[]
  /** Accepted values of `reasoning_effort`; empty: the parameter is rejected. */
  efforts: readonly string[]
}

export type OpenAiModels = Map<string, OpenAiModel>

const transcriber = (fields: string[], formats: string[], shutdownDate: string | null): OpenAiModel => ({
  shutdownDate,
  fields: [...fields, 'prompt'],
  formats,
  efforts: [],
})
const chat = (efforts: string, shutdownDate: string | null): OpenAiModel => ({
  shutdownDate,
  fields: null,
  formats: [],
  efforts: efforts.split(' ').filter((effort) => effort !== ''),
})

/** The models of a new stand-in; a test may add others. */
export const openAiModels = (): OpenAiModels =>
  new Map([
    ['gpt-transcribe', transcriber(['languages[]', 'keywords[]'], ['json', 'text'], null)],
    ['gpt-4o-mini-transcribe', transcriber(['language', 'temperature'], ['json'], '2027-02-26')],
    [
      'whisper-1',
      transcriber(['language', 'temperature'], ['json', 'text', 'verbose_json', 'srt', 'vtt'], '2027-02-26'),
    ],
    ['gpt-6-luna', chat('none low medium high xhigh max', null)],
    ['gpt-6-astra', chat('low medium high xhigh max', null)],
    ['gpt-5-mini', chat('minimal low medium high', '2026-12-11')],
    ['gpt-4o-mini', chat('', '2027-01-14')],
  ])

/** The answer to `GET /v1/models/{name}`. */
export function describeModel(models: OpenAiModels, name: string): Reply {
  const model = models.get(name)
  if (model === undefined) return unknownModel(name)
  return jsonReply(200, {
    id: name,
    object: 'model',
    created: 1_790_000_000,
    owned_by: 'system',
    shutdown_date: model.shutdownDate,
  })
}

/** How a transcription that the model does not take is refused; `null`: the model takes it. */
export function refuseTranscription(models: OpenAiModels, request: TranscriptionRequest): Reply | null {
  const model = models.get(request.model)
  if (!model?.fields) return unknownModel(request.model)
  const { fields, formats } = model
  const unknown = request.fields.find((field) => !fields.includes(field))
  if (unknown !== undefined) {
    const param = unknown.replace('[]', '')
    return badParameter(param, 'unsupported_parameter', `Unsupported parameter: '${param}' with ${request.model}.`)
  }
  if (formats.includes(request.responseFormat)) return null
  const message = `response_format '${request.responseFormat}' is not compatible with model '${request.model}'.`
  return badParameter('response_format', 'unsupported_value', message)
}

/** How a chat completion that the model does not take is refused; `null`: the model takes it. */
export function refuseChat(models: OpenAiModels, { model: name, effort }: ChatRequest): Reply | null {
  const model = models.get(name)
  if (model === undefined || model.fields !== null) return unknownModel(name)
  if (effort === '' || model.efforts.includes(effort)) return null
  const param = 'reasoning_effort'
  if (model.efforts.length === 0) {
    const message = `Unsupported parameter: '${param}' is not supported with this model.`
    return badParameter(param, 'unsupported_parameter', message)
  }
  const taken = model.efforts.map((one) => `'${one}'`).join(', ')
  const message = `Unsupported value: '${param}' does not support '${effort}' with this model. Supported values are: ${taken}.`
  return badParameter(param, 'unsupported_value', message)
}
