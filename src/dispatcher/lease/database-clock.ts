/**
 * The database's time between two looks at it, carried by this machine's monotonic clock: its wall clock takes no part,
 * so it may jump as it likes.
 */
export class DatabaseClock {
  #databaseMs = 0
  #monotonicMs = 0

  /** @param databaseMs milliseconds since the epoch, just read from the database. */
  set(databaseMs: number): void {
    this.#databaseMs = databaseMs
    this.#monotonicMs = performance.now()
  }

  /** Milliseconds since the epoch; off by no more than the last look took, and the drift since. */
  now(): number {
    return this.#databaseMs + (performance.now() - this.#monotonicMs)
  }
}
