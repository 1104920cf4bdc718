/**
 * Deliveries that wait in memory, for each that may be in flight: enough for the time that a read takes. What waits for
 * long is copied by the garbage collection: 8 cost 105 µs of CPU a delivery, 3 cost 99.
 */
const waitingShare = 4
/** About how much of their payloads waits in memory, in bytes. */
const mostBytes = 32 * 1024 * 1024
/** However large the payloads are, a read brings so many rows (or a whole window, if that is less). */
const fewestRows = 32
/** What large payloads have shown is forgotten by so much with each read that brings smaller ones. */
const forgetting = 0.9

/**
 * How many deliveries may wait in memory. Reads are cut by rows, so their number follows the size of the payloads: a
 * payload may have a mebibyte, and a backlog of an hour's transcripts must not take the memory of all the others.
 *
 * It is a brake and no bound: some of each route may wait whatever their size (`smallestAllowance`), and what is in
 * flight has its payload in memory too, up to a window of them.
 */
export class ReadBudget {
  readonly #window: number
  /** Of a payload; unknown before the first read, which brings few. */
  #meanBytes = Number.POSITIVE_INFINITY

  /** @param window how many deliveries may be in flight. */
  constructor(window: number) {
    this.#window = window
  }

  get rows(): number {
    const fitting = Math.floor(mostBytes / this.#meanBytes)
    return Math.max(Math.min(this.#window, fewestRows), Math.min(this.#window * waitingShare, fitting))
  }

  /** How many routes with something to send are enough, and how many a read brings more of. */
  get routes(): number {
    return Math.ceil(this.#window / 2)
  }

  /** To be told of each read. @param bytes of all its payloads. */
  brought(rows: number, bytes: number): void {
    if (rows === 0) return
    const mean = Math.max(1, bytes / rows)
    if (!Number.isFinite(this.#meanBytes)) this.#meanBytes = mean
    // A read of a single large one says little of what the next will bring.
    else if (mean > this.#meanBytes) this.#meanBytes += (mean - this.#meanBytes) * Math.min(1, rows / fewestRows)
    else this.#meanBytes = Math.max(mean, this.#meanBytes * forgetting)
  }
}
