import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** Writes whatever it likes, once the request has arrived whole. */
export type RawAnswer = (socket: Socket) => void

export interface RawEndpoint {
  url: string
  /** Paths of the requests that arrived whole, in order. */
  requests: string[]
  close(): Promise<void>
}

/** An endpoint on loopback that answers by path with raw bytes, for what no HTTP server can be made to say. */
export async function startRawEndpoint(answers: ReadonlyMap<string, RawAnswer>): Promise<RawEndpoint> {
  const sockets = new Set<Socket>()
  const requests: string[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
      const head = received.indexOf('\r\n\r\n')
      if (head < 0) return
      const text = received.subarray(0, head).toString('latin1')
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
      if (received.length < head + 4 + length) return
      received = received.subarray(head + 4 + length)
      const path = text.split(' ')[1] ?? ''
      requests.push(path)
      answers.get(path)?.(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the endpoint has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
