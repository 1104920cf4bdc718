import { Readable } from 'node:stream'
import { Agent, type Dispatcher, request, fetch as undiciFetch } from 'undici'
import { multipartBlob } from './multipart.ts'

/**
 * OpenAI's limit for an upload, in bytes: 25 MB for the whole body, its multipart form included (its API reference,
 * "Create transcription").
 */
export const maxUploadBytes = 25 * 1024 * 1024

/** A form that is larger than {@link maxUploadBytes}. */
class UploadTooLargeError extends Error {
  constructor(form: FormData, bytes: number) {
    const file = form.get('file')
    const fileBytes = file instanceof Blob ? file.size : 0
    super(`the recording: got ${fileBytes} bytes, ${bytes} with the upload's form; expected at most ${maxUploadBytes}`)
  }
}

/** The error of a request that was not sent because its upload is too large; `null`: it failed for another reason. */
export function whyTooLarge(error: unknown): string | null {
  if (error instanceof UploadTooLargeError) return error.message
  return error instanceof Error && error.cause !== undefined ? whyTooLarge(error.cause) : null
}

/**
 * Node's own fetch gives up when no headers came for 300 s, which is too soon for an hour of speech on a slow server.
 * Only undici's fetch lets that be changed, and it does not know the form that the OpenAI client builds; so the form is
 * encoded here. How long a request may take is left to its signal.
 */
const agent = new Agent({ connect: { timeout: 10_000 }, headersTimeout: 0, bodyTimeout: 0 })

export const proxyAuthenticationCode = 'ERR_PROXY_AUTHENTICATION'

/** undici's messages that come without a code; for an answer of 407 it has no message either. */
const codes = new Map([
  ['', proxyAuthenticationCode],
  ['redirect count exceeded', 'ERR_REDIRECTS'],
])

/** The answer is a web page, so the address is not that of a model service. */
export const webPageError = (): Error => Object.assign(new Error('the answer is a web page'), { code: 'ERR_WEB_PAGE' })

/** @throws Error {@link webPageError} */
async function fetchPatiently(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const answer =
    init?.body instanceof FormData
      ? await upload(new Request(url, { ...init, body: null }), init.body)
      : await send(url, init)
  if (answer.ok && answer.headers.get('content-type')?.startsWith('text/html')) {
    await answer.body?.cancel()
    throw webPageError()
  }
  return answer
}

async function send(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const head = new Request(url, init)
  const answer = await undiciFetch(head.url, {
    dispatcher: agent,
    method: head.method,
    headers: [...head.headers],
    body: init?.body ? await head.bytes() : null,
    signal: head.signal,
  }).catch((error: unknown) => {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : null
    const code = cause && !('code' in cause) && codes.get(cause.message)
    throw code ? Object.assign(new Error(cause.message), { code }) : error
  })
  return answer as unknown as Response
}

/**
 * Sends a form in constant memory. fetch would buffer all of it, because it copies the body in case of a redirect.
 */
async function upload(head: Request, form: FormData): Promise<Response> {
  const body = multipartBlob(form)
  if (body.size > maxUploadBytes) throw new UploadTooLargeError(form, body.size)
  const answer = await request(head.url, {
    dispatcher: agent,
    method: head.method as Dispatcher.HttpMethod,
    headers: [...head.headers, ['content-type', body.type], ['content-length', String(body.size)]].flat(),
    body: Readable.fromWeb(body.stream()),
    signal: head.signal,
  })
  const headers = Object.entries(answer.headers).flatMap(([name, values]) =>
    [values ?? []].flat().map((value): [string, string] => [name, value]),
  )
  const { statusCode: status } = answer
  const hasBody = status !== 204 && status !== 205 && status !== 304
  if (!hasBody) await answer.body.dump()
  return new Response(hasBody ? (Readable.toWeb(answer.body) as ReadableStream) : null, { status, headers })
}

/** `Response` tells the client that this fetch takes Node's `FormData`. */
export const longFetch = Object.assign(fetchPatiently, { Response })
