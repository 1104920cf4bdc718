import OpenAI, { APIConnectionError, APIError } from 'openai'
import { z } from 'zod'
import { webPageError } from './long-fetch.ts'
import { errorCode } from './outcome.ts'
import { retryAfterOf } from './quick-retry.ts'

/** How a request to the model service failed, in one form for all servers. Texts that the server left out are `''`. */
export interface ServiceFailure {
  /** `null`: there was no answer. */
  status: number | null
  /** Of the error object; without an answer the code of the network error. */
  code: string
  type: string
  /** The name of the rejected parameter, without what is inside it: `response_format`, `model`, `file`. */
  param: string
  /** For matching only: it may repeat what was said in the call, so it is never logged or stored. */
  message: string
  /** Whether the body is an error object, as model services send; a proxy sends HTML, plain text or nothing. */
  isStructured: boolean
  /** Whether the form is wrong rather than what is in it: a part is missing or has another type. */
  isFormError: boolean
  /** What the server asked for; `undefined`: nothing. */
  retryAfterMs: number | undefined
}

/** An answer that is not 2xx, with its whole body: the client's own error drops all but the key `error`. */
export class AnsweredError extends APIError {
  readonly body: unknown

  constructor(status: number, body: unknown, headers: Headers) {
    super(status, body as object, undefined, headers)
    this.body = body
  }
}

/** The client of OpenAI with {@link AnsweredError} in place of its own errors. */
export class ServiceClient extends OpenAI {
  protected override makeStatusError(
    status: number,
    body: object | undefined,
    text: string | undefined,
    headers: Headers,
  ): APIError {
    return new AnsweredError(status, body ?? text, headers)
  }
}

const errorInAnswer = z
  .object({
    error: z.union([z.string().min(1), z.object({ code: z.unknown().optional(), type: z.unknown().optional() })]),
    choices: z.undefined().optional(),
    text: z.undefined().optional(),
  })
  .transform(({ error }) => error)

const isPassingError = /server|internal|overload|unavailable|time_?out|busy/i

/**
 * Treats an answer of 200 whose body is an error (OpenRouter, whisper.cpp) or a web page as the failure that it is.
 *
 * @throws {AnsweredError} with the status that the body names, else 400, or 502 for an error that passes.
 */
export function rejectErrorInAnswer(headers: Headers, { text, json }: { text: string; json: unknown }): void {
  if (/^\s*<(!doctype|html)/i.test(text)) throw webPageError()
  const parsed = errorInAnswer.safeParse(json)
  if (!parsed.success) return
  const { code, type } = typeof parsed.data === 'string' ? { code: '', type: '' } : parsed.data
  const status = Number(code)
  const isStatus = Number.isInteger(status) && status >= 400 && status < 600
  const fallback = isPassingError.test(`${code} ${type}`) ? 502 : 400
  throw new AnsweredError(isStatus ? status : fallback, json, headers)
}

const text = z.union([z.string(), z.number().transform(String)]).catch('')
/** A gateway in Python may write `None`, and a number as `code` repeats the status (LiteLLM, llama.cpp, Google). */
const word = z
  .string()
  .catch('')
  .transform((value) => (/^(none|null|\d+)$/i.test(value) ? '' : value))
const texts = z.array(z.union([z.string(), z.number()]).transform(String)).catch([])

/** OpenAI's error object. */
const errorObject = z.object({
  message: text,
  code: word,
  type: word,
  param: word,
  /** OpenRouter: the answer of the server behind it. */
  metadata: z.object({ raw: text }).catch({ raw: '' }),
  isFormError: z.literal(false).catch(false),
})

/** FastAPI's answer to a request that does not fit (https://fastapi.tiangolo.com/tutorial/handling-errors/). */
const validationDetail = z.object({ loc: texts, msg: text, type: text })

const body = z.union([
  z.object({ error: z.string() }).transform(({ error }) => errorObject.parse({ message: error })),
  z.object({ error: errorObject }).transform(({ error }) => error),
  z.object({ detail: z.array(validationDetail).min(1) }).transform(({ detail }) => errorOfDetail(detail)),
  z.object({ detail: z.string() }).transform(({ detail }) => errorObject.parse({ message: detail })),
  z.object({ detail: errorObject }).transform(({ detail }) => detail),
  // vLLM before 0.10 has no envelope. A gateway's `{"message": …}` has none of these keys.
  errorObject.and(z.object({ object: z.literal('error') })),
])

function errorOfDetail(detail: z.infer<typeof validationDetail>[]) {
  const [first] = detail
  const param = first?.loc.filter((part) => part !== 'body').join('.')
  return { ...errorObject.parse({ message: first?.msg, type: first?.type, param }), isFormError: true }
}

/** @param error what the client threw. */
export function readFailure(error: unknown): ServiceFailure {
  const none = { type: '', param: '', message: '', isStructured: false, isFormError: false, retryAfterMs: undefined }
  if (!(error instanceof APIError) || error instanceof APIConnectionError || error.status === undefined) {
    return { ...none, status: null, code: errorCode(error) }
  }
  const { status, headers } = error as APIError<number, Headers>
  const sent = error instanceof AnsweredError ? error.body : { error: error.error }
  const parsed = body.safeParse(Array.isArray(sent) ? sent[0] : sent)
  const retryAfterMs = retryAfterOf(headers)
  if (!parsed.success) return { ...none, status, code: '', retryAfterMs }
  const { message, code, type, param, metadata, isFormError } = parsed.data
  return {
    status,
    code: code.toLowerCase(),
    type: type.toLowerCase(),
    param: param.split(/[.[\]]/)[0] ?? '',
    message: `${message} ${metadata.raw}`.trim(),
    isStructured: true,
    isFormError: isFormError || /missing|required/i.test(code),
    retryAfterMs,
  }
}
