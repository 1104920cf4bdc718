import { once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'

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

/** Longer than a statement may take: whoever waits for the database still hears what came of it. */
const longestAnswerMs = 10_000
/** Longer than balancers keep theirs (a minute or less): else they send a request on one that is being closed here. */
const idleConnectionMs = 75_000

/**
 * Serves `listener` on all interfaces.
 *
 * @param port 0: any free port.
 * @throws Error of Node (`EADDRINUSE`, `EACCES`) when the port cannot be had.
 */
export async function listenHttp(listener: RequestListener, port: number): Promise<HttpListener> {
  const underWay = new Set<ServerResponse>()
  let shedding = false
  let stopped: Promise<void> | null = null
  const server = createServer((request, response) => {
    underWay.add(response)
    response.once('close', () => {
      underWay.delete(response)
      // It was answered before it could be told to close.
      if (stopped) setImmediate(() => server.closeIdleConnections())
    })
    if (shedding) response.setHeader('connection', 'close')
    listener(request, response)
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
    // They have no end of their own; their clients reconnect by themselves.
    for (const response of underWay) if (isEventStream(response)) response.end()
    const last = setTimeout(() => server.closeAllConnections(), longestAnswerMs)
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
