import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { Webhook } from 'standardwebhooks'
import { Ledger } from './ledger.ts'
import { type LoopbackServer, readBody, startLoopbackServer } from './loopback-server.ts'
import { type Answer, ScriptedAnswers } from './scripted-answers.ts'

/** One POST that arrived whole. */
export interface ReceivedPost {
  path: string
  /** Its `webhook-id` header, or `''`. */
  webhookId: string
  headers: IncomingHttpHeaders
  /** The bytes as they came. */
  body: Buffer
  /** Milliseconds since the epoch. */
  at: number
  /** Whether the signature fits one of the path's secrets and the timestamp is within five minutes. */
  verified: boolean
  /** The answer's status, or what was done instead of answering; a post not verified gets 401 unless scripted. */
  answer: number | 'hang' | 'reset' | 'custom'
}

export interface Receiver extends LoopbackServer {
  posts: readonly ReceivedPost[]
  /** Names the secrets (`whsec_…`) that posts to `path` may be signed with, and returns the URL to post to. */
  endpoint(path: string, ...secrets: string[]): string
  /** Answers by path instead of the usual 200. */
  answers: ScriptedAnswers
}

const bodyLimit = 2 * 1024 * 1024

/** A webhook endpoint as a customer would write it, with a ledger. @param port 0: any free port. */
export async function startReceiver(port = 0): Promise<Receiver> {
  const secrets = new Map<string, string[]>()
  const answers = new ScriptedAnswers()
  const ledger = new Ledger<ReceivedPost>()

  const server = await startLoopbackServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://receiver').pathname
    const body = await readBody(request, bodyLimit)
    const verified = (secrets.get(path) ?? []).some((secret) => isSigned(secret, request, body))
    const answer = answers.next(path) ?? { status: verified ? 200 : 401, body: verified ? 'ok' : 'not signed by you' }
    ledger.add({
      path,
      webhookId: String(request.headers['webhook-id'] ?? ''),
      headers: request.headers,
      body,
      at: Date.now(),
      verified,
      answer: nameOf(answer),
    })
    answers.give(answer, request, response)
  }, port)

  return {
    ...server,
    answers,
    posts: ledger.entries,
    endpoint(path, ...given) {
      secrets.set(path, given)
      return `${server.url}${path}`
    },
  }
}

function isSigned(secret: string, request: IncomingMessage, body: Buffer): boolean {
  try {
    new Webhook(secret).verify(body, request.headers as Record<string, string>)
    return true
  } catch {
    return false
  }
}

function nameOf(answer: Answer): ReceivedPost['answer'] {
  if (typeof answer === 'function') return 'custom'
  return typeof answer === 'string' ? answer : answer.status
}
