import { Agent, request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { readBody, startLoopbackServer } from '../../src/demo/loopback-server.ts'
import { eventually } from './eventually.ts'

export interface RoundRobin {
  /** What callers post to. */
  url: string
  /** Sends requests to this port too, as soon as its `/readyz` says so; resolves then. */
  add(port: number): Promise<void>
  remove(port: number): void
  /** What `/readyz` of a port said while it was not ready: its reasons, or that nobody answered. */
  refusals(port: number): string[]
  close(): Promise<void>
}

interface Backend {
  port: number
  ready: boolean
  refusals: string[]
}

interface Request {
  method: string
  path: string
  headers: IncomingHttpHeaders
  body: Buffer
}

const askMs = 500
const longestBody = 64 * 1024

/**
 * A load balancer as small as can be: each request goes to the next backend whose `/readyz` was last answered 200, over
 * connections that are kept. Where nobody listens it goes to the next one, since nothing was sent; what fails otherwise
 * is the caller's 502.
 */
export async function startRoundRobin(): Promise<RoundRobin> {
  const backends: Backend[] = []
  const agent = new Agent({ keepAlive: true })
  let turn = 0

  const forward = async (request: Request): Promise<{ status: number; body: string }> => {
    const ready = backends.filter((candidate) => candidate.ready)
    turn += 1
    const backend = ready[turn % ready.length]
    if (backend === undefined) return { status: 502, body: 'no backend is ready' }
    try {
      const answer = await send(request, backend.port, agent)
      return { status: answer.statusCode ?? 502, body: await text(answer) }
    } catch (error) {
      backend.ready = false
      if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return await forward(request)
      return { status: 502, body: `port ${backend.port}: ${error}` }
    }
  }
  const server = await startLoopbackServer(async (incoming, response) => {
    const { method = '', url: path = '', headers } = incoming
    const { status, body } = await forward({ method, path, headers, body: await readBody(incoming, longestBody) })
    // Callers come on a new connection each time: one that was closed here for being idle would look like a loss.
    response.writeHead(status, { connection: 'close' }).end(body)
  })

  const ask = async (backend: Backend): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${backend.port}/readyz`)
      .then(async (response) => ({ ready: response.status === 200, said: await response.text() }))
      .catch(() => ({ ready: false, said: 'nobody answers' }))
    backend.ready = answer.ready
    if (!answer.ready) backend.refusals.push(answer.said)
  }
  const asking = setInterval(() => {
    for (const backend of backends) void ask(backend)
  }, askMs)

  return {
    url: server.url,
    async add(port) {
      const backend = { port, ready: false, refusals: [] }
      backends.push(backend)
      await eventually(`port ${port} is ready`, () => backend.ready)
    },
    remove(port) {
      const index = backends.findIndex((backend) => backend.port === port)
      if (index >= 0) backends.splice(index, 1)
    },
    refusals: (port) => backends.find((backend) => backend.port === port)?.refusals ?? [],
    async close() {
      clearInterval(asking)
      agent.destroy()
      await server.close()
    },
  }
}

const send = ({ method, path, headers, body }: Request, port: number, agent: Agent): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    httpRequest({ host: '127.0.0.1', port, method, path, headers, agent }, resolve).once('error', reject).end(body)
  })
