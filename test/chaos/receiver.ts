import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Misbehaviour } from './plan.ts'

/** What a receiver does when nothing is wrong with it: at once, late, refusing now and then, or both. */
export type Manner = 'quick' | 'slow' | 'flaky' | 'slow and flaky'

/** One POST that arrived whole. Times are milliseconds since the epoch. */
export interface ReceivedPost {
  /** Its `webhook-id`. */
  id: string
  businessId: string
  /** SHA-256 of the body's bytes, in hex. */
  bodyHash: string
  /** Whether the signature fits the business's secret, and its timestamp is within five minutes. */
  verified: boolean
  atMs: number
  /** Of the answer that was chosen: a status, or what was done instead. */
  answer: number | 'hangs' | 'resets' | 'garbage'
  /** When the answer was handed to the connection, or the connection ended; 0: neither yet. */
  overMs: number
}

export type ReceiverOrder =
  | { order: 'businesses'; businesses: { businessId: string; manner: Manner; secret: string }[] }
  | { order: 'misbehave'; businesses: string[]; misbehaviour: Misbehaviour }
  | { order: 'behave'; businesses: string[] }
  /** From now on every answer is a quick 200. */
  | { order: 'calm' }
  | { order: 'count' }
  | { order: 'posts' }

export type ReceiverReport = { port: number } | { count: number } | { posts: ReceivedPost[] }

/** The receivers of all businesses, in a process of their own that no fault touches: its ledger is the truth. */
export class Receivers {
  readonly #child: ChildProcess
  readonly port: number

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  static async start(seed: number): Promise<Receivers> {
    const script = fileURLToPath(new URL('./receiver-process.ts', import.meta.url))
    const child = fork(script, [String(seed)], { serialization: 'advanced' })
    const [report] = (await once(child, 'message')) as [{ port: number }]
    return new Receivers(child, report.port)
  }

  tell(order: ReceiverOrder): void {
    this.#child.send(order)
  }

  async count(): Promise<number> {
    const report = await this.#ask({ order: 'count' })
    return 'count' in report ? report.count : 0
  }

  async posts(): Promise<ReceivedPost[]> {
    const report = await this.#ask({ order: 'posts' })
    return 'posts' in report ? report.posts : []
  }

  async stop(): Promise<void> {
    if (!this.#child.connected) return
    this.#child.disconnect()
    await once(this.#child, 'exit')
  }

  async #ask(order: ReceiverOrder): Promise<ReceiverReport> {
    const answered = once(this.#child, 'message')
    this.#child.send(order)
    const [report] = (await answered) as [ReceiverReport]
    return report
  }
}
