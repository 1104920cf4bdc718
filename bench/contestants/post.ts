import { Agent, request } from 'undici'

const agent = new Agent()
const headers = { 'content-type': 'application/json' }

export interface Answered {
  statusCode: number
  excerpt: string
  durationMs: number
}

/** One POST over a connection that is kept alive, its answer read: what every contestant does for a job. */
export async function post(url: string, body: string): Promise<Answered> {
  const begunMs = performance.now()
  const response = await request(url, { method: 'POST', headers, body, dispatcher: agent })
  const excerpt = await response.body.text()
  return { statusCode: response.statusCode, excerpt, durationMs: Math.round(performance.now() - begunMs) }
}
