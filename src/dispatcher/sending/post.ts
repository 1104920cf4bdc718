import { Agent, type Dispatcher } from 'undici'
import type { AddressGuard } from './address-guard.ts'
import { classifyError, errorText, type TransportFailure } from './classify-error.ts'
import { Deadlines, type Overdue } from './deadlines.ts'
import { isKeptConnectionClosed } from './kept-connections.ts'
import { createProxyAgent } from './proxy-agent.ts'

export interface PostResult {
  result: 'ok' | 'http_error' | TransportFailure
  statusCode: number | null
  error: string | null
  /** The first 2 KB of the answer, as they came. */
  excerpt: Buffer | null
  retryAfterMs: number | null
  durationMs: number
  /** A connection that was kept from earlier answers was closed or reset before this one began. */
  keptConnectionClosed: boolean
}

export interface PostRequest {
  url: string
  /** Names and values in turn. */
  headers: string[]
  body: Buffer
}

const excerptBytes = 2_048
/** Past this the answer is not read on: its status has said all that matters. */
const answerBytes = 65_536
/** URLs whose parts are remembered. */
const maxTargets = 10_000

interface Target {
  origin: string
  hostname: string
  path: string
}

/**
 * Sends POSTs over connections that are kept alive. No proxy variable of the environment is looked at, no redirect is
 * followed, no answer is decompressed.
 */
export class Poster {
  readonly #agent: Dispatcher
  /** Makes a connection for each POST. */
  readonly #newConnections: Dispatcher
  readonly #targets = new Map<string, Target>()
  readonly #guard: AddressGuard
  readonly #exchanges: Exchanges

  /**
   * @param timeoutMs for the whole exchange, connecting and the answer's last byte included.
   * @param proxyUrl a forward proxy, which then resolves names and decides what may be reached; `null`: none.
   * @param readRetryAfter turns the header into milliseconds.
   */
  constructor(
    guard: AddressGuard,
    timeoutMs: number,
    proxyUrl: string | null,
    readRetryAfter: (value: string | null) => number | null,
  ) {
    this.#guard = guard
    this.#exchanges = {
      timeoutMs,
      deadlines: new Deadlines(timeoutMs),
      proxied: proxyUrl !== null,
      readRetryAfter,
      reasonWithoutConnection: (url) => this.#reasonWithoutConnection(url),
    }
    const options = {
      allowH2: false,
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: 4_000,
      keepAliveMaxTimeout: 60_000,
    }
    const agentOf = (pipelining: number): Dispatcher =>
      proxyUrl === null
        ? new Agent({ ...options, pipelining, connect: guard.connector(timeoutMs) })
        : createProxyAgent(proxyUrl, { ...options, pipelining }, timeoutMs)
    this.#agent = agentOf(1)
    // With 0, undici keeps no connection alive.
    this.#newConnections = agentOf(0)
  }

  /** Never rejects: an attempt that fails is a result. @param newConnection none that was kept is good enough. */
  post(request: PostRequest, newConnection = false): Promise<PostResult> {
    return new Promise((resolve) => {
      const { url, headers, body } = request
      const exchange = new Exchange(this.#exchanges, url, resolve)
      try {
        const { origin, path } = this.#target(url)
        const agent = newConnection ? this.#newConnections : this.#agent
        agent.dispatch({ origin, path, method: 'POST', headers, body }, exchange)
      } catch (error) {
        exchange.onResponseError(null, error)
      }
    })
  }

  /** Tenants have few URLs and many deliveries, and parsing a URL costs as much as signing a delivery. */
  #target(url: string): Target {
    let target = this.#targets.get(url)
    if (target === undefined) {
      const { origin, hostname, pathname, search } = new URL(url)
      target = { origin, hostname, path: pathname + search }
      if (this.#targets.size >= maxTargets) this.#targets.clear()
      this.#targets.set(url, target)
    }
    return target
  }

  /** The stage that timed out, for an exchange without a connection. */
  #reasonWithoutConnection(url: string): string {
    if (this.#exchanges.proxied) return 'no connection through the proxy'
    return this.#guard.isResolving(this.#target(url).hostname) ? 'the name was not resolved' : 'no connection'
  }

  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#newConnections.destroy()])
    this.#guard.close()
  }
}

/** What all exchanges of a poster share. */
interface Exchanges {
  timeoutMs: number
  deadlines: Deadlines
  proxied: boolean
  readRetryAfter: (value: string | null) => number | null
  reasonWithoutConnection: (url: string) => string
}

class Exchange implements Dispatcher.DispatchHandler, Overdue {
  readonly begunMs = performance.now()
  readonly #shared: Exchanges
  readonly #url: string
  readonly #resolve: (result: PostResult) => void
  #controller: Dispatcher.DispatchController | null = null
  /** When it got its connection. */
  #startedMs = Number.NEGATIVE_INFINITY
  #over = false
  #statusCode: number | null = null
  #retryAfterMs: number | null = null
  #chunks: Buffer[] = []
  #received = 0
  #keptConnectionClosed = false

  constructor(shared: Exchanges, url: string, resolve: (result: PostResult) => void) {
    this.#shared = shared
    this.#url = url
    this.#resolve = resolve
    shared.deadlines.begin(this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    this.#startedMs = performance.now()
    // The deadline passed while this waited for its connection: nothing may be sent any more.
    if (this.#over) this.#abort()
  }

  onResponseStart(
    _controller: unknown,
    statusCode: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (statusCode < 200) return
    this.#statusCode = statusCode
    const retryAfter = headers['retry-after']
    this.#retryAfterMs = this.#shared.readRetryAfter(typeof retryAfter === 'string' ? retryAfter : null)
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    if (this.#received < excerptBytes) this.#chunks.push(Buffer.from(chunk.subarray(0, excerptBytes - this.#received)))
    this.#received += chunk.length
    if (this.#received <= answerBytes) return
    this.#endByStatus()
    this.#abort()
  }

  onResponseEnd(): void {
    this.#endByStatus()
  }

  onResponseError(_controller: unknown, error: unknown): void {
    this.#keptConnectionClosed = this.#statusCode === null && isKeptConnectionClosed(error, this.#startedMs)
    this.#end(classifyError(error), errorText(error, this.#shared.proxied))
  }

  #endByStatus(): void {
    const code = this.#statusCode ?? 0
    if (code >= 200 && code < 300) this.#end('ok', null)
    else this.#end('http_error', code >= 300 && code < 400 ? 'redirects are not followed' : null)
  }

  #end(result: PostResult['result'], error: string | null): void {
    if (this.#over) return
    this.#over = true
    this.#shared.deadlines.end(this)
    this.#resolve({
      result,
      statusCode: this.#statusCode,
      error,
      excerpt: this.#chunks.length === 0 ? null : Buffer.concat(this.#chunks),
      retryAfterMs: this.#retryAfterMs,
      durationMs: Math.round(performance.now() - this.begunMs),
      keptConnectionClosed: this.#keptConnectionClosed,
    })
  }

  onDeadline(): void {
    if (this.#over) return
    const { reasonWithoutConnection, timeoutMs } = this.#shared
    const reason = this.#controller ? 'no complete answer' : reasonWithoutConnection(this.#url)
    this.#end('timeout', `${reason} within ${timeoutMs} ms`)
    this.#abort()
  }

  #abort(): void {
    this.#controller?.abort(new Error('the exchange is over'))
  }
}
