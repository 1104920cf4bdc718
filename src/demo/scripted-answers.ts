import type { IncomingMessage, ServerResponse } from 'node:http'

export interface Reply {
  status: number
  headers?: Record<string, string>
  body?: string | Buffer
}

/**
 * What a stand-in does with one request: a whole answer, none until told (`hang`), a connection cut before the answer
 * (`reset`), or a function that writes whatever it likes.
 */
export type Answer = Reply | 'hang' | 'reset' | ((request: IncomingMessage, response: ServerResponse) => void)

/** Answers that are written down beforehand, by key: first the queued ones, one a request, then the standing one. */
export class ScriptedAnswers {
  readonly #queued = new Map<string, Answer[]>()
  readonly #standing = new Map<string, Answer>()
  readonly #hanging = new Set<ServerResponse>()

  /** The next requests of `key` get these, one each. */
  queue(key: string, ...answers: Answer[]): void {
    this.#queued.set(key, [...(this.#queued.get(key) ?? []), ...answers])
  }

  /** Every request of `key` that has nothing queued gets this; `null`: the usual answer again. */
  always(key: string, answer: Answer | null): void {
    if (answer === null) this.#standing.delete(key)
    else this.#standing.set(key, answer)
  }

  next(key: string): Answer | undefined {
    return this.#queued.get(key)?.shift() ?? this.#standing.get(key)
  }

  give(answer: Answer, request: IncomingMessage, response: ServerResponse): void {
    if (typeof answer === 'function') {
      answer(request, response)
    } else if (answer === 'reset') {
      request.socket.resetAndDestroy()
    } else if (answer === 'hang') {
      this.#hanging.add(response)
      response.once('close', () => this.#hanging.delete(response))
    } else {
      sendReply(response, answer)
    }
  }

  /** How many requests hang now. */
  get hanging(): number {
    return this.#hanging.size
  }

  /** Answers every request that hangs. */
  release(reply: Reply): void {
    for (const response of this.#hanging) sendReply(response, reply)
    this.#hanging.clear()
  }
}

export function sendReply(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, reply.headers ?? {}).end(reply.body ?? '')
}

export function jsonReply(status: number, value: unknown, headers: Record<string, string> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}
