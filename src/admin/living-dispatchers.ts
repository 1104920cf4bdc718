/** Longer than the lease: a beat that stands still this long is buried by the other dispatchers, in milliseconds. */
const silenceMs = 3_000

/**
 * Counts dispatchers that live. Their rows alone do not tell: when the last one dies, nobody is left to delete its row.
 * So a beat that has not moved for 3 s, by this process's monotonic clock, is not counted; one seen for the first time
 * is.
 */
export class LivingDispatchers {
  readonly #now: () => number
  #seen = new Map<string, { beat: string; movedAt: number }>()

  /** @param now milliseconds of a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now
  }

  count(beats: readonly { id: string; beat: string }[]): number {
    const now = this.#now()
    const seen = new Map<string, { beat: string; movedAt: number }>()
    for (const { id, beat } of beats) {
      const before = this.#seen.get(id)
      seen.set(id, before?.beat === beat ? before : { beat, movedAt: now })
    }
    this.#seen = seen
    return [...seen.values()].filter(({ movedAt }) => now - movedAt < silenceMs).length
  }
}
