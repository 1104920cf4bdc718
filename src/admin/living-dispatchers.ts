/** Longer than the lease: a beat that stands still this long is buried by the other dispatchers, in milliseconds. */
const silenceMs = 3_000

/**
 * Tells which dispatchers live. Their rows alone do not tell: when the last one dies, nobody is left to delete its row.
 * So one whose beat has not moved for 3 s, by this process's monotonic clock, does not count; one seen for the first
 * time does.
 */
export class LivingDispatchers {
  readonly #now: () => number
  #seen = new Map<string, { beat: string; movedAt: number }>()

  /** @param now milliseconds of a monotonic clock. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** The ids of those that live. @param beats what all rows have now. */
  living(beats: readonly { id: string; beat: string }[]): Set<string> {
    const now = this.#now()
    const seen = new Map<string, { beat: string; movedAt: number }>()
    for (const { id, beat } of beats) {
      const before = this.#seen.get(id)
      seen.set(id, before?.beat === beat ? before : { beat, movedAt: now })
    }
    this.#seen = seen
    return new Set([...seen].filter(([, { movedAt }]) => now - movedAt < silenceMs).map(([id]) => id))
  }

  count(beats: readonly { id: string; beat: string }[]): number {
    return this.living(beats).size
  }
}
