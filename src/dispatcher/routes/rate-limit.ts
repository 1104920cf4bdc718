/** A bucket holds what the rate brings in this time, and one at the least. */
const burstMs = 100

/**
 * A token bucket: one token a POST. It starts empty, so that after a takeover the former owner's last burst and ours
 * together stay within the rate.
 */
export class RateLimit {
  readonly #perSecond: number
  #tokens = 0
  #countedMs: number

  /** @param perSecond above 0; fractions are fine. @param nowMs monotonic milliseconds, here and below. */
  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond
    this.#countedMs = nowMs
  }

  get perSecond(): number {
    return this.#perSecond
  }

  /** Takes a token if there is one. */
  take(nowMs: number): boolean {
    const earned = ((nowMs - this.#countedMs) / 1_000) * this.#perSecond
    this.#tokens = Math.min(Math.max(1, (this.#perSecond * burstMs) / 1_000), this.#tokens + earned)
    this.#countedMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Milliseconds until there is a token, as counted at the last `take`. */
  waitMs(): number {
    return Math.max(0, ((1 - this.#tokens) / this.#perSecond) * 1_000)
  }
}
