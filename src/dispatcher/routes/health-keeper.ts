import type pg from 'pg'
import { Loop } from '../../lib/loop.ts'
import type { Direction } from '../../outbox/routing.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Slots } from '../lease/slots.ts'
import type { HealthStore } from './health-store.ts'
import { directions, type Route } from './route.ts'
import type { HealthChange, StoredHealth, Verdict } from './route-health.ts'
import type { RouteQueues } from './route-queues.ts'

/** Reads leave parked routes out, so those that an operator parks are looked up. */
const parkedPollMs = 1_000

interface HealthDependencies {
  pool: pg.Pool
  store: HealthStore
  slots: Slots
  queues: RouteQueues
  log: Logger
  metrics: Pick<Metrics, 'breakerOpenings' | 'breakerProbes'>
  /** Nothing may be sent on the route for now: deliveries that wait in memory are dropped. */
  onBlocked: (route: Route) => void
  /** The route may be sent to in this many milliseconds. */
  onOpenAgain: (route: Route, inMs: number) => void
}

/** Derives the health of routes from results, stores what must outlive this dispatcher, and reports it in log and metrics. */
export class HealthKeeper {
  readonly #dependencies: HealthDependencies
  readonly #parkedWatch = new Loop(() => this.#lookForParked())

  constructor(dependencies: HealthDependencies) {
    this.#dependencies = dependencies
    // Starting at 0 makes the first increment visible as a rise.
    for (const direction of directions) {
      dependencies.metrics.breakerOpenings.inc({ direction }, 0)
      for (const result of ['ok', 'failed']) dependencies.metrics.breakerProbes.inc({ direction, result }, 0)
    }
    this.#parkedWatch.start()
  }

  async stop(): Promise<void> {
    await this.#parkedWatch.stop()
  }

  /** Adopts what a read found in the route's row. */
  adopt(route: Route, row: StoredHealth, nowMs: number): void {
    if (row.healthVersion <= route.health.version) return
    route.health.adopt(row, nowMs)
    this.#dependencies.queues.changed(route)
  }

  /** An attempt ended. @param isProbe it was sent while the breaker was open. */
  judge(route: Route, verdict: Verdict, deliveryId: string, isProbe: boolean, nowMs: number): void {
    if (isProbe && verdict.of === 'endpoint') {
      const result = verdict.ok ? 'ok' : 'failed'
      this.#dependencies.metrics.breakerProbes.inc({ direction: route.direction, result })
    }
    const before = route.health.state
    this.#apply(route, before, route.health.judge(verdict, deliveryId, isProbe, nowMs))
  }

  park(route: Route, reason: string): void {
    this.#apply(route, route.health.state, route.health.park(reason, performance.now()))
  }

  #apply(route: Route, before: string, change: HealthChange | null): void {
    if (change === null) return
    const { store, queues, metrics, onBlocked, onOpenAgain } = this.#dependencies
    store.write(route, change)
    if (change.state === 'parked') this.#report(route, 'route.parked', `parked: ${change.reason}`)
    else if (change.state === 'active' && before === 'failing') this.#report(route, 'route.recovered', 'answers again')
    else if (change.state === 'active') this.#report(route, 'route.held', `asked for a pause of ${change.waitMs} ms`)
    else if (change.isNew) {
      metrics.breakerOpenings.inc({ direction: route.direction })
      this.#report(route, 'route.failing', `fails: ${change.reason}; one probe at a time from now on`)
    }
    if (change.state !== 'active' || change.waitMs > 0) onBlocked(route)
    if (change.state !== 'parked') onOpenAgain(route, change.waitMs)
    queues.changed(route)
  }

  async #lookForParked(): Promise<number> {
    const { pool, slots, queues, log, onBlocked } = this.#dependencies
    const owned = slots.owned()
    if (owned.length === 0) return parkedPollMs
    try {
      const { rows } = await pool.query<ParkedRow>(readParkedRoutes, [owned])
      for (const { business_id: businessId, direction, health_version: version } of rows) {
        const route = queues.find(businessId, direction)
        if (route?.health.adoptParked(version)) onBlocked(route)
      }
    } catch (err) {
      log.warn({ event: 'route.parked_unread', err }, 'parked routes could not be read')
    }
    return parkedPollMs
  }

  #report(route: Route, event: string, text: string): void {
    const { businessId: business_id, direction } = route
    this.#dependencies.log.warn({ event, business_id, direction }, `a route ${text}`)
  }
}

interface ParkedRow {
  business_id: string
  direction: Direction
  health_version: number
}

const readParkedRoutes = `
  select business_id, direction, health_version
  from callbox.routes
  where slot = any($1::smallint[]) and state = 'parked'`
