import type { LookupAddress } from 'node:dns'
import { LookupWorker } from './lookup-worker.ts'

export interface LookupQuestion {
  id: number
  name: string
}

export interface LookupAnswer {
  id: number
  /** `null`: found. */
  code: string | null
  addresses: LookupAddress[]
}

export interface Lookup {
  readonly name: string
  readonly begunMs: number
  /** Its process exited, so the lookup was started again; this happens once. */
  repeated: boolean
  /** Answered or given up. */
  over: boolean
  settle(error: Error | null, addresses: LookupAddress[]): void
}

const maxProcesses = 4
/**
 * How long a caller waits by default, in milliseconds. glibc's resolver tries two dead servers for 20 s before it reports
 * an error; if only the first is dead, it resolves a name after 5 s.
 */
const usualDeadlineMs = 30_000
/** A name whose last lookup took longer is slow, and waits behind other names when places are scarce. */
const slowMs = 1_000
const maxSlowNames = 10_000
const maxSlowPlaces = (maxProcesses * LookupWorker.places * 3) / 4

/**
 * Looks names up by getaddrinfo, so that `/etc/hosts`, `search`, `ndots` and everything else in nsswitch.conf apply as
 * they do to any other program. getaddrinfo blocks a thread until it gives up on a silent server, and tenants choose
 * such servers. So it runs in separate processes, each with its own thread pool, and leaves the threads of this process
 * to file access and to lookups of our database.
 *
 * Another process starts when every place of the others is taken, up to four. Names that were slow last time may take
 * three quarters of all places, which leaves the rest to the other names.
 */
export class SystemLookup {
  readonly #workers = new Set<LookupWorker>()
  readonly #waiting: Lookup[] = []
  readonly #waitingSlow: Lookup[] = []
  readonly #slowNames = new Set<string>()
  readonly #deadlineMs: number
  #closed = false

  constructor(deadlineMs = usualDeadlineMs) {
    this.#deadlineMs = deadlineMs
  }

  /**
   * All addresses, in getaddrinfo's order; at least one.
   *
   * @throws Error with a code: ENOTFOUND, EAI_AGAIN, or another one of getaddrinfo.
   */
  lookup(name: string): Promise<LookupAddress[]> {
    const { promise, resolve, reject } = Promise.withResolvers<LookupAddress[]>()
    const lookup: Lookup = {
      name,
      begunMs: performance.now(),
      repeated: false,
      over: false,
      settle: (error, addresses) => {
        if (lookup.over) return
        lookup.over = true
        clearTimeout(timer)
        this.#remember(name, performance.now() - lookup.begunMs)
        if (error) reject(error)
        else resolve(addresses)
      },
    }
    const timer = setTimeout(() => {
      lookup.settle(failure('EAI_AGAIN', `the name was not resolved within ${this.#deadlineMs} ms`), [])
      this.#retireOverdue()
      this.#fill()
    }, this.#deadlineMs)
    this.#queueFor(name).push(lookup)
    this.#fill()
    return promise
  }

  /** Starts the first process, so that no delivery waits for it. */
  prepare(): void {
    if (!this.#closed && this.#workers.size === 0) this.#newWorker()
  }

  /** Ends the processes. Running lookups fail. */
  close(): void {
    this.#closed = true
    this.#fill()
    for (const worker of this.#workers) worker.end()
  }

  #queueFor(name: string): Lookup[] {
    return this.#slowNames.has(name) ? this.#waitingSlow : this.#waiting
  }

  #remember(name: string, tookMs: number): void {
    this.#slowNames.delete(name)
    if (tookMs < slowMs) return
    if (this.#slowNames.size >= maxSlowNames) this.#slowNames.clear()
    this.#slowNames.add(name)
  }

  #fill(): void {
    for (let lookup = this.#next(); lookup !== null; lookup = this.#next()) {
      if (this.#closed) lookup.settle(failure('EAI_AGAIN', 'the process is stopping'), [])
      else if (!lookup.over) {
        const worker = this.#freeWorker()
        if (worker === null) {
          this.#queueFor(lookup.name).unshift(lookup)
          return
        }
        worker.start(lookup, this.#slowNames.has(lookup.name))
      }
    }
  }

  #next(): Lookup | null {
    const fresh = this.#waiting.shift()
    if (fresh) return fresh
    if (this.#waitingSlow.length === 0) return null
    const slow = [...this.#workers].reduce((sum, worker) => sum + worker.slowCount, 0)
    const isAllowed = this.#closed || slow < maxSlowPlaces
    return (isAllowed && this.#waitingSlow.shift()) || null
  }

  #serving(): LookupWorker[] {
    return [...this.#workers].filter((worker) => !worker.retired)
  }

  #freeWorker(): LookupWorker | null {
    const serving = this.#serving()
    const free = serving.find((worker) => worker.isFree)
    if (free) return free
    return serving.length < maxProcesses ? this.#newWorker() : null
  }

  #newWorker(): LookupWorker {
    const worker = new LookupWorker({
      answered: (lookup, { code, addresses }) => {
        const known = code ?? (addresses.length === 0 ? 'ENOTFOUND' : null)
        lookup.settle(known === null ? null : failure(known, `getaddrinfo ${known} ${lookup.name}`), addresses)
        this.#endIdle()
        this.#fill()
      },
      ended: (lost) => {
        this.#workers.delete(worker)
        for (const lookup of lost) {
          if (lookup.repeated) lookup.settle(failure('EAI_AGAIN', 'the lookup process has exited'), [])
          lookup.repeated = true
          if (!lookup.over) this.#queueFor(lookup.name).unshift(lookup)
        }
        this.#fill()
      },
    })
    this.#workers.add(worker)
    return worker
  }

  /** A thread that hangs past the deadline is abandoned with its process, once no other lookup waits there. */
  #retireOverdue(): void {
    for (const worker of this.#workers) worker.retireIfOverdue()
  }

  #endIdle(): void {
    const [_kept, ...others] = this.#serving()
    for (const worker of others) if (worker.isIdle) worker.end()
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
