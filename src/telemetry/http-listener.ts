import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'

export interface HttpListener {
  port: number
  /** From now on every answer asks its client to close the connection, and to come again on a new one. */
  shedConnections(): void
  /**
   * Takes no more connections, ends event streams, and resolves when what is under way has been answered, or cut off
   * after 10 s. Repeating it is harmless.
   */
  stop(): Promise<void>
}

/** Longer than a statement may take: a client that waits for the database still gets its answer. */
const maxAnswerMs = 10_000
/** How long the headers and the body of a request may take; then it is answered with 408. */
const maxRequestMs = 30_000
/** Longer than load balancers keep idle connections (at most a minute), or they send requests on one being closed. */
const idleConnectionMs = 75_000

/**
 * Serves `listener` on all interfaces.
 *
 * @param port 0: any free port.
 * @param requestMs how long a request may take to arrive, its body included.
 * @throws Error of Node (`EADDRINUSE`, `EACCES`) when the port cannot be had.
 */
export async function listenHttp(
  listener: RequestListener,
  port: number,
  requestMs = maxRequestMs,
): Promise<HttpListener> {
  const underWay = new Set<ServerResponse>()
  let shedding = false
  let stopped: Promise<void> | null = null
  const timeouts = {
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.min(1_000, requestMs / 4),
  }
  const server = createServer(timeouts, (request, response) => {
    underWay.add(response)
    response.once('close', () => {
      underWay.delete(response)
      // It was answered before `connection: close` could be set.
      if (stopped) setImmediate(() => server.closeIdleConnections())
    })
    if (shedding) response.setHeader('connection', 'close')
    if (toOriginForm(request)) listener(request, response)
    else refuseTarget(response)
  })
  server.keepAliveTimeout = idleConnectionMs
  server.listen(port)
  await once(server, 'listening')
  const address = server.address()

  const shedConnections = (): void => {
    shedding = true
    for (const response of underWay) if (!response.headersSent) response.setHeader('connection', 'close')
  }
  const stop = async (): Promise<void> => {
    const closed = once(server, 'close')
    shedConnections()
    server.close()
    server.closeIdleConnections()
    // They never end on their own; clients reconnect.
    for (const response of underWay) if (isEventStream(response)) response.end()
    const last = setTimeout(() => server.closeAllConnections(), maxAnswerMs)
    await closed
    clearTimeout(last)
  }
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    shedConnections,
    stop() {
      stopped ??= stop()
      return stopped
    },
  }
}

const isEventStream = ({ req, headersSent }: ServerResponse): boolean =>
  headersSent && (req.headers.accept ?? '').includes('text/event-stream')

/** RFC 9112, 3.2.2: `GET http://host/path HTTP/1.1`, without user information. */
const absoluteForm = /^https?:\/\/([^/?@]+)(?![^/?])(.*)$/i

/**
 * Turns a request target in absolute form into a path, as everything else here expects it (and as Twilio signs it), and
 * takes its host for the header `Host`.
 *
 * @returns false for a target that is neither.
 */
function toOriginForm(request: IncomingMessage): boolean {
  const target = request.url ?? ''
  if (target.startsWith('/') || target === '*') return true
  const [, host, path = ''] = absoluteForm.exec(target) ?? []
  if (host === undefined) return false
  request.url = path.startsWith('/') ? path : `/${path}`
  request.headers.host = host
  return true
}

function refuseTarget(response: ServerResponse): void {
  const detail = 'request target: got something else; expected a path, or an http or https URL without a user name'
  response.writeHead(400, { 'content-type': 'application/problem+json' })
  response.end(JSON.stringify({ type: 'about:blank', title: 'Bad Request', status: 400, detail }))
}
