import { Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { startLoopbackServer } from '../../src/demo/loopback-server.ts'

export interface RoundRobin {
  /** What callers post to. */
  url: string
  /** Sends requests to this port too, as soon as its `/readyz` says so. */
  add(port: number): void
  remove(port: number): void
  /** What `/readyz` of a port said last while it was not ready: its reasons, or that nobody answered. */
  refusals(port: number): string[]
  close(): Promise<void>
}

interface Backend {
  port: number
  ready: boolean
  refusals: string[]
}

/** Shorter than any balancer's, so that a process that stops too soon after saying so is not found out by patience. */
const askMs = 500

/**
 * A load balancer as small as can be: each request goes, once, to the next backend whose `/readyz` was last answered
 * 200, over connections that are kept. What fails is not tried elsewhere: it is the caller's 502.
 */
export async function startRoundRobin(): Promise<RoundRobin> {
  const backends: Backend[] = []
  const agent = new Agent({ keepAlive: true })
  let turn = 0

  const server = await startLoopbackServer((incoming, response) => {
    const ready = backends.filter((backend) => backend.ready)
    turn += 1
    const backend = ready[turn % ready.length]
    if (backend === undefined) response.writeHead(502).end('no backend is ready')
    else forward(incoming, response, backend.port)
  })

  const forward = (incoming: IncomingMessage, response: ServerResponse, port: number): void => {
    const { method, url: path, headers } = incoming
    const outgoing = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502)
      answer.pipe(response)
    })
    outgoing.once('error', (error) => response.writeHead(502).end(`port ${port}: ${error.message}`))
    incoming.pipe(outgoing)
  }

  const ask = async (backend: Backend): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${backend.port}/readyz`).catch(() => null)
    if (answer?.status !== 200) backend.refusals.push((await answer?.text()) ?? 'nobody answers')
    backend.ready = answer?.status === 200
  }
  const asking = setInterval(() => {
    for (const backend of backends) void ask(backend)
  }, askMs)

  return {
    url: server.url,
    add: (port) => void backends.push({ port, ready: false, refusals: [] }),
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
