import { once } from 'node:events'
import { Agent, type IncomingMessage, request as open } from 'node:http'
import type { SeenAnswer } from './openapi.ts'

const agent = new Agent({ keepAlive: true })

/** Sends a request as it is: no part of it is put right or left out, as fetch does. @param port on 127.0.0.1. */
export async function sendRaw(
  port: number,
  method: string,
  target: string,
  headers: Record<string, string>,
  body: Buffer | null,
): Promise<SeenAnswer> {
  // For some methods Node would leave it out, and the body be taken for the next request.
  const length: Record<string, string> = body === null ? {} : { 'content-length': String(body.length) }
  const outgoing = open({ host: '127.0.0.1', port, agent, method, path: target, headers: { ...length, ...headers } })
  outgoing.end(body ?? undefined)
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  return {
    ...{ method, path: target, status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() },
    header: (name) => response.headers[name.toLowerCase()]?.toString() ?? null,
  }
}
