/** An exchange with a deadline. */
export interface Overdue {
  /** When it began, in monotonic milliseconds. */
  readonly begunMs: number
  onDeadline(): void
}

/**
 * Deadlines of equal length on a single timer: the one that began first is due first, so a set in insertion order is
 * enough. Otherwise each of thousands of exchanges would start and clear its own timer.
 */
export class Deadlines {
  readonly #lengthMs: number
  readonly #waiting = new Set<Overdue>()
  #timer: NodeJS.Timeout | null = null

  /** @param lengthMs from the beginning of each. */
  constructor(lengthMs: number) {
    this.#lengthMs = lengthMs
  }

  begin(exchange: Overdue): void {
    this.#waiting.add(exchange)
    this.#timer ??= this.#startTimer(this.#lengthMs)
  }

  end(exchange: Overdue): void {
    this.#waiting.delete(exchange)
  }

  #startTimer(ms: number): NodeJS.Timeout {
    // After a turn of the event loop: a process that was suspended reads what has arrived before it judges.
    return setTimeout(() => setImmediate(() => this.#judge()), ms)
  }

  #judge(): void {
    this.#timer = null
    const nowMs = performance.now()
    for (const exchange of this.#waiting) {
      const leftMs = exchange.begunMs + this.#lengthMs - nowMs
      if (leftMs > 0) {
        this.#timer = this.#startTimer(Math.ceil(leftMs))
        return
      }
      this.#waiting.delete(exchange)
      exchange.onDeadline()
    }
  }
}
