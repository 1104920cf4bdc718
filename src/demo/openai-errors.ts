import { jsonReply, type Reply } from './scripted-answers.ts'

function openAiError(
  status: number,
  type: string,
  code: string | null,
  message: string,
  headers: Record<string, string> = {},
  param: string | null = null,
): Reply {
  return jsonReply(status, { error: { message, type, param, code } }, headers)
}

/** @param message what is wrong with the request. */
export const badRequest = (message: string): Reply => openAiError(400, 'invalid_request_error', null, message)

/** A parameter that is not taken, or not with this value. */
export const badParameter = (param: string, code: string, message: string): Reply =>
  openAiError(400, 'invalid_request_error', code, message, {}, param)

export const unknownModel = (model: string): Reply =>
  openAiError(
    404,
    'invalid_request_error',
    'model_not_found',
    `The model '${model}' does not exist or you do not have access to it.`,
    {},
    'model',
  )

/** OpenAI's error answers (https://platform.openai.com/docs/guides/error-codes), in its own form. */
export const openAiErrors = {
  badKey: openAiError(401, 'invalid_request_error', 'invalid_api_key', 'Incorrect API key provided.'),
  unknownUrl: openAiError(404, 'invalid_request_error', null, 'Invalid URL'),
  badAudio: badRequest('The audio file could not be decoded or its format is not supported.'),
  quotaExhausted: openAiError(
    429,
    'insufficient_quota',
    'insufficient_quota',
    'You exceeded your current quota, please check your plan and billing details.',
  ),
  serverError: openAiError(500, 'server_error', null, 'The server had an error while processing your request.'),
  /** @param retryAfter seconds. */
  rateLimited: (retryAfter: number): Reply =>
    openAiError(429, 'requests', 'rate_limit_exceeded', 'Rate limit reached for requests.', {
      'retry-after': String(retryAfter),
    }),
}
