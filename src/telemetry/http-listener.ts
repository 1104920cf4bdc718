import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'

export interface HttpListener {
  port: number
  stop(): Promise<void>
}

/**
 * Serves `listener` on all interfaces.
 *
 * @param port 0: any free port.
 * @throws Error of Node (`EADDRINUSE`, `EACCES`) when the port cannot be had.
 */
export async function listenHttp(listener: RequestListener, port: number): Promise<HttpListener> {
  const server = createServer(listener)
  server.listen(port)
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeIdleConnections()
      const last = setTimeout(() => server.closeAllConnections(), 3_000)
      await closed
      clearTimeout(last)
    },
  }
}
