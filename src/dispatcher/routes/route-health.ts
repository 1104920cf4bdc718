/** The breaker opens after this many failures in a row, of at least this many deliveries: a single bad one never opens it. */
const failuresToOpen = 5
const deliveriesToOpen = 3
const firstProbeMs = 1_000
const maxProbeMs = 300_000
/** Without a success for this long, a route with an open breaker is parked: 5 days. */
export const parkAfterMs = 5 * 86_400_000

/** What a read finds in a route's row. */
export interface StoredHealth {
  state: 'active' | 'failing'
  healthVersion: number
  probes: number
  failingForMs: number | null
}

/** How an attempt ended, as far as the route is concerned. */
export type Verdict =
  | { of: 'endpoint'; ok: true }
  /**
   * @param reason the failure in a few words, for the operator.
   * @param isGone the endpoint wants no more events.
   * @param holdMs the pause that its `Retry-After` asks for; 0: none.
   */
  | { of: 'endpoint'; ok: false; reason: string; isGone: boolean; holdMs: number }
  /** The receiver rejects this payload, which says nothing about the route. */
  | { of: 'payload' }

export type HealthState = 'active' | 'failing' | 'parked'

/** A change that must be stored, because it has to outlive this dispatcher. */
export interface HealthChange {
  state: HealthState
  /** Whether `state` differs from the one before. */
  isNew: boolean
  reason: string | null
  probes: number
  /** Until the next probe (`failing`) or until the end of a `Retry-After` (`active`), in milliseconds. */
  waitMs: number
  /** `null`: it has not failed. */
  failingForMs: number | null
}

/**
 * The health of one route: breaker, ramp, hold and parking. All times are monotonic milliseconds.
 *
 * ```
 *          5 failures in a row of ≥ 3 deliveries          5 days without a success
 *  active ───────────────────────────────────▶ failing ─────────────────────────▶ parked
 *    ▲ ▲              probe succeeded              │                            ▲    │
 *    │ └───────────────────────────────────────────┘      410, unusable secret ─┘    │
 *    └──────────────────── the row says so: unparked, another URL ───────────────────┘
 * ```
 *
 * - `active`: POSTs up to the route's limit, and after trouble up to the ramp: one more with each success.
 * - `failing`: the breaker is open; one delivery at a time is sent as a probe, at intervals from 1 s to 5 min.
 * - `parked`: nothing is sent until an operator or another URL changes the row.
 *
 * A `Retry-After` holds the route in any state; with an open breaker it moves the next probe.
 *
 * `HealthKeeper` is the only caller of the methods that change it; every change of state goes through `#become`.
 */
export class RouteHealth {
  #state: HealthState = 'active'
  #version = -1
  #failures = 0
  /** Ids of the deliveries that failed in a row, up to {@link deliveriesToOpen}. */
  readonly #failedIds = new Set<string>()
  #failingSinceMs: number | null = null
  #probes = 0
  #sendFromMs = Number.NEGATIVE_INFINITY
  #ramp = Number.POSITIVE_INFINITY

  get state(): HealthState {
    return this.#state
  }

  /** `health_version` of the row as far as it is known here. */
  get version(): number {
    return this.#version
  }

  /** Whether the last answer was a failure. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** Milliseconds until the route may be sent to: until its next probe or the end of its hold; 0: now. */
  waitMs(nowMs: number): number {
    return Math.max(0, this.#sendFromMs - nowMs)
  }

  /** How many POSTs may be in flight. @param limit of the route, 1 or more. */
  allowed(limit: number): number {
    if (this.#state === 'parked') return 0
    return this.#state === 'failing' ? 1 : Math.min(limit, this.#ramp)
  }

  /** Adopts the row's state if another writer changed it: a former owner, an operator, a new URL. */
  adopt(row: StoredHealth, nowMs: number): void {
    if (row.healthVersion <= this.#version) return
    const isKnown = this.#version >= 0
    this.#version = row.healthVersion
    this.#become(row.state)
    this.#forgetFailures()
    this.#probes = row.probes
    this.#failures = row.state === 'failing' ? failuresToOpen : 0
    this.#failingSinceMs = row.failingForMs === null ? null : nowMs - row.failingForMs
    // A read returns a failing or held route only when its time has come.
    this.#sendFromMs = nowMs
    if (row.state === 'failing' || isKnown || row.healthVersion > 0) this.#ramp = 1
  }

  /** The row says that the route is parked. @returns false: it was already known. */
  adoptParked(version: number): boolean {
    if (version <= this.#version) return false
    this.#version = version
    this.#become('parked')
    return true
  }

  /** The row has been written. @param version `null`: another writer changed it, so the next read is adopted. */
  stored(version: number | null): void {
    this.#version = version ?? -1
  }

  /**
   * Applies a result to the route.
   *
   * @param deliveryId whose attempt it was.
   * @param isProbe sent while the breaker was open; attempts in flight when it opened are ignored.
   * @returns `null`: nothing to store.
   */
  judge(verdict: Verdict, deliveryId: string, isProbe: boolean, nowMs: number): HealthChange | null {
    if (this.#state === 'parked') return null
    if (verdict.of === 'payload') return isProbe ? this.#probeAgain(nowMs) : null
    if (verdict.ok) return this.#succeeded(nowMs)
    if (verdict.isGone) return this.park(verdict.reason, nowMs)
    const isHeld = this.#hold(verdict.holdMs, nowMs)
    const change = this.#failed(verdict.reason, deliveryId, isProbe, nowMs)
    return change ?? (isHeld ? this.#change(this.#state, null, nowMs) : null)
  }

  /** @param reason for the operator. @returns `null`: it is already parked. */
  park(reason: string, nowMs: number): HealthChange | null {
    return this.#state === 'parked' ? null : this.#change('parked', reason, nowMs)
  }

  #succeeded(nowMs: number): HealthChange | null {
    if (this.#state === 'active') {
      this.#forgetFailures()
      this.#ramp += 1
      return null
    }
    this.#sendFromMs = nowMs
    return this.#change('active', null, nowMs)
  }

  #failed(reason: string, deliveryId: string, isProbe: boolean, nowMs: number): HealthChange | null {
    this.#failures += 1
    if (this.#failedIds.size < deliveriesToOpen) this.#failedIds.add(deliveryId)
    this.#failingSinceMs ??= nowMs
    if (this.#state === 'failing') {
      if (!isProbe) return null
      this.#probes += 1
    } else if (this.#failures < failuresToOpen || this.#failedIds.size < deliveriesToOpen) return null
    if (this.#state === 'failing' && nowMs - this.#failingSinceMs >= parkAfterMs) {
      return this.park(`no success for 5 days; the last failure: ${reason}`, nowMs)
    }
    this.#sendFromMs = Math.max(this.#sendFromMs, nowMs + this.#probeWaitMs())
    return this.#change('failing', reason, nowMs)
  }

  /** The probe's payload was rejected: another delivery is tried after the same wait. */
  #probeAgain(nowMs: number): HealthChange | null {
    if (this.#state !== 'failing') return null
    this.#sendFromMs = Math.max(this.#sendFromMs, nowMs + this.#probeWaitMs())
    return this.#change('failing', null, nowMs)
  }

  /** Pauses the route, and lets it ramp up afterwards. @returns false: it is already paused for longer. */
  #hold(waitMs: number, nowMs: number): boolean {
    if (waitMs === 0 || nowMs + waitMs <= this.#sendFromMs) return false
    this.#sendFromMs = nowMs + waitMs
    this.#ramp = 1
    return true
  }

  #forgetFailures(): void {
    this.#failures = 0
    this.#failedIds.clear()
    this.#failingSinceMs = null
    this.#probes = 0
  }

  #probeWaitMs(): number {
    return Math.min(maxProbeMs, firstProbeMs * 2 ** Math.min(this.#probes, 20))
  }

  #change(state: HealthState, reason: string | null, nowMs: number): HealthChange {
    const isNew = this.#become(state)
    const failingForMs = this.#failingSinceMs === null ? null : nowMs - this.#failingSinceMs
    return { state, isNew, reason, probes: this.#probes, waitMs: this.waitMs(nowMs), failingForMs }
  }

  /** The only place where the state changes. @returns whether it differs from before. */
  #become(state: HealthState): boolean {
    if (state === this.#state) return false
    this.#state = state
    if (state === 'active') {
      this.#ramp = 1
      this.#forgetFailures()
    }
    return true
  }
}
