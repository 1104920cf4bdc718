/** Failures in a row that open the breaker. */
const failuresToOpen = 5
const firstProbeMs = 1_000
const longestProbeMs = 300_000
/** Without one success for this long a route is parked: 5 days. */
export const parkAfterMs = 5 * 86_400_000

/** What the breaker makes of a result. */
export type BreakerChange =
  | null
  /** It opened, or a probe failed: the next probe may go in `probeInMs`. */
  | { state: 'failing'; reason: string; probes: number; probeInMs: number; failingForMs: number }
  /** It closed. */
  | { state: 'active' }
  | { state: 'parked'; reason: string }

/**
 * The breaker of one route: five failures in a row open it, and then one delivery at a time is let through as a probe,
 * at intervals that double from 1 s to 5 min, until one succeeds. Its state is kept in the route's row, so that a
 * takeover does not begin by hammering a dead endpoint. Times are durations by the monotonic clock.
 */
export class Breaker {
  #failures = 0
  #probes = 0
  #open = false
  #failingSinceMs: number | null = null

  get open(): boolean {
    return this.#open
  }

  /** Whether the last result was a failure. */
  get failing(): boolean {
    return this.#failures > 0
  }

  /** Takes over what the row says. @param failingForMs how long there has been no success. */
  restore(open: boolean, probes: number, failingForMs: number | null, nowMs: number): void {
    this.#open = open
    this.#probes = probes
    this.#failures = open ? failuresToOpen : 0
    this.#failingSinceMs = failingForMs === null ? null : nowMs - failingForMs
  }

  succeeded(): BreakerChange {
    const wasOpen = this.#open
    this.#failures = 0
    this.#probes = 0
    this.#open = false
    this.#failingSinceMs = null
    return wasOpen ? { state: 'active' } : null
  }

  /**
   * @param reason the failure in a few words, for the operator.
   * @param probe sent while the breaker was open; what was in flight when it opened tells nothing new.
   */
  failed(reason: string, probe: boolean, nowMs: number): BreakerChange {
    this.#failures += 1
    this.#failingSinceMs ??= nowMs
    const failingForMs = nowMs - this.#failingSinceMs
    if (this.#open && !probe) return null
    if (this.#open) this.#probes += 1
    else if (this.#failures >= failuresToOpen) this.#open = true
    else return null
    if (failingForMs >= parkAfterMs) return { state: 'parked', reason: `no success for 5 days; the last: ${reason}` }
    const probeInMs = Math.min(longestProbeMs, firstProbeMs * 2 ** Math.min(this.#probes, 20))
    return { state: 'failing', reason, probes: this.#probes, probeInMs, failingForMs }
  }
}
