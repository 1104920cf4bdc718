import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { BreakerChange } from './breaker.ts'
import type { HealthWriter } from './health-writer.ts'
import type { PostResult } from './post.ts'
import { directions, type Route } from './route.ts'

/** What a read finds in a route's row. */
export interface RouteRow {
  state: 'active' | 'failing'
  health_version: number
  probes: number
  failing_for_ms: number | null
}

interface HealthParts {
  writer: HealthWriter
  log: Logger
  metrics: Pick<Metrics, 'breakerOpenings' | 'breakerProbes'>
  /** The route is in trouble: what waits on it goes back to the table. */
  onBlocked: (route: Route) => void
  /** The route may be sent to (again) in this many milliseconds. */
  onOpenAgain: (route: Route, inMs: number) => void
}

/** Keeps the health of routes: from results to breaker, parking and ramp, and from their rows after a takeover. */
export class RouteHealth {
  readonly #parts: HealthParts

  constructor(parts: HealthParts) {
    this.#parts = parts
    // Told from the start, so that the first one is seen as a rise.
    for (const direction of directions) {
      parts.metrics.breakerOpenings.inc({ direction }, 0)
      for (const result of ['ok', 'failed']) parts.metrics.breakerProbes.inc({ direction, result }, 0)
    }
  }

  /** Takes over what the row says, if somebody else changed it: a former owner, an operator, a new URL. */
  adopt(route: Route, row: RouteRow, nowMs: number): void {
    if (row.health_version <= route.healthVersion) return
    const unknown = route.healthVersion < 0
    route.healthVersion = row.health_version
    route.parked = false
    route.breaker.restore(row.state === 'failing', row.probes, row.failing_for_ms, nowMs)
    // The read brings a failing route only when its probe is due.
    route.probeMs = nowMs
    if (row.state === 'failing' || !unknown || row.health_version > 0) route.ramp.afterTrouble()
  }

  /** The row says that the route is parked. */
  adoptParked(route: Route, healthVersion: number): void {
    if (healthVersion <= route.healthVersion) return
    route.healthVersion = healthVersion
    this.#block(route)
  }

  /** @param probe whether it was sent while the breaker was open. */
  answered(route: Route, result: PostResult, probe: boolean, nowMs: number): void {
    if (probe) this.#countProbe(route, result.result !== 'ok')
    if (result.result === 'ok') {
      route.ramp.succeeded()
      this.#apply(route, route.breaker.succeeded(), nowMs)
    } else if (result.statusCode === 410) {
      this.park(route, 'the endpoint answered 410 Gone')
    } else {
      this.#apply(route, route.breaker.failed(describeFailure(result), probe, nowMs), nowMs)
    }
  }

  park(route: Route, reason: string): void {
    if (route.parked) return
    this.#block(route)
    this.#parts.writer.write(route, { state: 'parked', reason })
    this.#tell(route, 'route.parked', `parked: ${reason}`)
  }

  #apply(route: Route, change: BreakerChange, nowMs: number): void {
    if (change === null || route.parked) return
    if (change.state === 'parked') {
      this.park(route, change.reason)
      return
    }
    this.#parts.writer.write(route, change)
    if (change.state === 'active') {
      route.ramp.afterTrouble()
      this.#tell(route, 'route.recovered', 'answers again')
      this.#parts.onOpenAgain(route, 0)
      return
    }
    if (change.probes === 0) {
      this.#parts.metrics.breakerOpenings.inc({ direction: route.direction })
      this.#tell(route, 'route.failing', `fails: ${change.reason}; one probe at a time from now on`)
    }
    route.probeMs = nowMs + change.probeInMs
    this.#parts.onBlocked(route)
    this.#parts.onOpenAgain(route, change.probeInMs)
  }

  #countProbe({ direction }: Route, failed: boolean): void {
    this.#parts.metrics.breakerProbes.inc({ direction, result: failed ? 'failed' : 'ok' })
  }

  #block(route: Route): void {
    route.parked = true
    this.#parts.onBlocked(route)
  }

  #tell(route: Route, event: string, words: string): void {
    const { businessId: business_id, direction } = route
    this.#parts.log.warn({ event, business_id, direction }, `a route ${words}`)
  }
}

export function describeFailure(result: PostResult): string {
  const status = result.statusCode === null ? '' : `HTTP ${result.statusCode}`
  if (result.result === 'http_error') return status
  // The answer began well and did not end.
  return status === '' ? result.result : `${result.result} after ${status}`
}
