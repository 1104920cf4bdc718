import type { Response } from 'express'
import { Problem } from '../problems.ts'
import type { Session } from './session.ts'

const mostStreams = 100
/** Of one session, so that nobody takes the places of all others. */
const mostOfSession = 20
/** Between two readings, in milliseconds; more when they are slow, so that they never take up a connection for long. */
const shortestPauseMs = 2_000
const pauseForReading = 10

/**
 * Server-sent events (WHATWG HTML, 9.2) for all who look at one part of a page: made once for all of them, again and
 * again while anybody looks.
 */
export class PartStreams {
  readonly #make: () => Promise<string>
  /** Each with the id of its session. */
  readonly #streams = new Map<Response, string>()
  #latest: string | null = null
  #timer: NodeJS.Timeout | null = null
  /** It reads, or rests between two readings. */
  #reads = false
  #stopped = false

  /** @param make the part's HTML; it answers also when it cannot be read. */
  constructor(make: () => Promise<string>) {
    this.#make = make
  }

  /**
   * Streams the part until whoever looks at it goes away, until the session ends, which is told by the event `over`, or
   * until {@link stop}.
   *
   * @throws {Problem} 503 when there are 100 already, or 20 of this session, or the process stops.
   */
  add(response: Response, { id, endsAt }: Pick<Session, 'id' | 'endsAt'>): void {
    const ofSession = [...this.#streams.values()].filter((one) => one === id).length
    if (this.#stopped || this.#streams.size >= mostStreams || ofSession >= mostOfSession) {
      throw new Problem(503, 'too many pages are live already; reload this one to see it anew', [], {
        'Retry-After': '30',
      })
    }
    // Who went away while the session was looked up would never be told of as closed again.
    if (response.destroyed) return
    // A proxy that gathers what it passes on would hold events back; nginx is told so by this header.
    response.type('text/event-stream').set('X-Accel-Buffering', 'no').flushHeaders()
    const end = setTimeout(() => response.end('event: over\ndata: over\n\n'), Math.max(0, endsAt - Date.now()))
    response.once('close', () => {
      clearTimeout(end)
      this.#streams.delete(response)
    })
    this.#streams.set(response, id)
    if (this.#latest !== null) send(response, this.#latest)
    if (!this.#reads) void this.#run()
  }

  /** Ends all streams; the pages connect again by themselves, to this process or to another. */
  stop(): void {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    for (const response of this.#streams.keys()) response.end()
  }

  async #run(): Promise<void> {
    this.#reads = true
    const begunAt = performance.now()
    const part = await this.#make()
    if (this.#stopped) return
    for (const response of this.#streams.keys()) send(response, part)
    this.#latest = part
    const pauseMs = Math.max(shortestPauseMs, (performance.now() - begunAt) * pauseForReading)
    this.#timer = setTimeout(() => {
      this.#latest = null
      this.#reads = this.#streams.size > 0
      if (this.#reads) void this.#run()
    }, pauseMs)
  }
}

/** Who reads slower than we write gets a later state instead. */
function send(response: Response, part: string): void {
  if (response.writableNeedDrain) return
  const data = part.split('\n').map((line) => `data: ${line}\n`)
  response.write(`${data.join('')}\n`)
}
