import { Agent, fetch as undiciFetch } from 'undici'

/**
 * Node's own fetch gives up when no headers came for 300 s, which is too soon for an hour of speech on a slow server.
 * Only undici's fetch lets that be changed, and it does not know the form that the OpenAI client builds; so the body is
 * encoded by Node first. How long a request may take is left to its signal.
 */
const agent = new Agent({ connect: { timeout: 10_000 }, headersTimeout: 0, bodyTimeout: 0 })

/** The code of the error for a web page in place of an answer: the address is not that of a model service. */
export const webPageCode = 'ERR_WEB_PAGE'

async function fetchPatiently(url: string | URL | Request, init?: RequestInit): Promise<Response> {
  const request = new Request(url, init)
  const answer = await undiciFetch(request.url, {
    dispatcher: agent,
    method: request.method,
    headers: [...request.headers],
    body: init?.body ? await request.bytes() : null,
    signal: request.signal,
  })
  if (answer.ok && answer.headers.get('content-type')?.startsWith('text/html')) {
    await answer.body?.cancel()
    throw Object.assign(new Error('a web page was answered'), { code: webPageCode })
  }
  return answer as unknown as Response
}

/** `Response` tells the client that this fetch takes Node's `FormData`. */
export const longFetch = Object.assign(fetchPatiently, { Response })
