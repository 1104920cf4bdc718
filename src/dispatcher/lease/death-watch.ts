/** How long a beat must stand still before its dispatcher is buried, in milliseconds of the observer's own clock. */
export const deathAfterMs = 3_000

/** A gap between two good reads beyond which what was seen before it proves nothing. */
const longestGapMs = 1_500

interface Sighting {
  beat: number
  sinceMs: number
}

/**
 * Tells which dispatchers have stopped: those whose beat stood still for 3 s by this process's monotonic clock, over
 * reads that worked. A gap between reads (the database away, this process stopped) starts the watch anew: the watched
 * one may have been cut off by the very same thing.
 */
export class DeathWatch {
  readonly #sightings = new Map<string, Sighting>()
  #lastReadMs = Number.NEGATIVE_INFINITY

  /** @returns those to bury, with the beat that each must still have. */
  observe(dispatchers: readonly { id: string; beat: number }[], nowMs: number): { id: string; beat: number }[] {
    if (nowMs - this.#lastReadMs > longestGapMs) this.#sightings.clear()
    this.#lastReadMs = nowMs
    const dead: { id: string; beat: number }[] = []
    const present = new Set<string>()
    for (const { id, beat } of dispatchers) {
      present.add(id)
      const sighting = this.#sightings.get(id)
      if (sighting?.beat !== beat) this.#sightings.set(id, { beat, sinceMs: nowMs })
      else if (nowMs - sighting.sinceMs >= deathAfterMs) dead.push({ id, beat })
    }
    for (const id of this.#sightings.keys()) if (!present.has(id)) this.#sightings.delete(id)
    return dead
  }
}
