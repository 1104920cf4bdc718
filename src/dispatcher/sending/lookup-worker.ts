import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Lookup, LookupAnswer, LookupQuestion } from './system-lookup.ts'

interface Listener {
  answered(lookup: Lookup, answer: LookupAnswer): void
  /** The process has exited; `lost` are the lookups that it did not answer. */
  ended(lost: Lookup[]): void
}

const script = fileURLToPath(new URL('./lookup-process.ts', import.meta.url))
const maxId = 2 ** 32

/** One process that looks names up, and its running lookups. It never keeps this process alive. */
export class LookupWorker {
  /** libuv runs getaddrinfo on half of its threads at most. */
  static readonly places = 128

  readonly #child: ChildProcess
  readonly #listener: Listener
  readonly #underWay = new Map<number, { lookup: Lookup; slow: boolean }>()
  #nextId = 0
  #retired = false
  #ended = false

  constructor(listener: Listener) {
    this.#listener = listener
    this.#child = fork(script, [], {
      execArgv: [],
      env: { ...process.env, UV_THREADPOOL_SIZE: String(2 * LookupWorker.places) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    this.#child.on('message', (answer: LookupAnswer) => this.#answered(answer))
    this.#child.on('error', () => this.end())
    this.#child.on('exit', () => this.#leave())
    this.#child.unref()
    this.#child.channel?.unref()
  }

  /** Gives it no more lookups; it exits when all of its lookups are answered or overdue. */
  get retired(): boolean {
    return this.#retired
  }

  get isFree(): boolean {
    return this.#underWay.size < LookupWorker.places
  }

  get isIdle(): boolean {
    return this.#underWay.size === 0
  }

  /** How many places are taken by names that were slow before. */
  get slowCount(): number {
    let count = 0
    for (const { slow } of this.#underWay.values()) if (slow) count += 1
    return count
  }

  start(lookup: Lookup, slow: boolean): void {
    const id = this.#nextId
    this.#nextId = (id + 1) % maxId
    this.#underWay.set(id, { lookup, slow })
    const question: LookupQuestion = { id, name: lookup.name }
    // A closed channel means that the process ends, and `exit` reports that.
    this.#child.send(question, () => undefined)
  }

  retireIfOverdue(): void {
    const lookups = [...this.#underWay.values()].map(({ lookup }) => lookup)
    if (lookups.some(({ over }) => over)) this.#retired = true
    if (this.#retired && lookups.every(({ over }) => over)) this.end()
  }

  end(): void {
    this.#child.kill('SIGKILL')
    this.#leave()
  }

  #answered(answer: LookupAnswer): void {
    const place = this.#underWay.get(answer.id)
    if (place === undefined) return
    this.#underWay.delete(answer.id)
    this.#listener.answered(place.lookup, answer)
    if (this.#retired) this.retireIfOverdue()
  }

  #leave(): void {
    if (this.#ended) return
    this.#ended = true
    const lost = [...this.#underWay.values()].map(({ lookup }) => lookup)
    this.#underWay.clear()
    this.#listener.ended(lost)
  }
}
