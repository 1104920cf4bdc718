import type pg from 'pg'
import type { Logger } from '../telemetry/logger.ts'
import type { BreakerChange } from './breaker.ts'
import type { Route } from './route.ts'
import { writeRouteActive, writeRouteFailing, writeRouteParked } from './sql/route-health.ts'

type Change = Exclude<BreakerChange, null>

const retryMs = 500

/**
 * Writes changes of routes' health to their rows, the newest of each route, one after the other, until the database
 * takes them. They are few: a breaker that opens, a probe, a parking.
 */
export class HealthWriter {
  readonly #pool: pg.Pool
  readonly #owner: () => string
  readonly #log: Logger
  readonly #waiting = new Map<Route, Change>()
  #writing: Promise<void> | null = null
  #stopped = false

  /** @param owner the id under which this dispatcher owns its slots. */
  constructor(pool: pg.Pool, owner: () => string, log: Logger) {
    this.#pool = pool
    this.#owner = owner
    this.#log = log
  }

  write(route: Route, change: Change): void {
    this.#waiting.set(route, change)
    this.#writing ??= this.#run().finally(() => {
      this.#writing = null
    })
  }

  /** Writes what is left, once. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#writing
  }

  async #run(): Promise<void> {
    for (;;) {
      const [next] = this.#waiting
      if (next === undefined) return
      const [route, change] = next
      try {
        const [statement, values] = statementFor(route, change, this.#owner())
        const { rows } = await this.#pool.query<{ health_version: number }>(statement, values)
        // None: the row was changed by somebody else, or is no longer ours to change; what it says is adopted anew.
        route.healthVersion = rows[0]?.health_version ?? -1
        if (this.#waiting.get(route) === change) this.#waiting.delete(route)
      } catch (err) {
        this.#log.warn({ event: 'route.health_unwritten', err }, 'the state of a route waits for the database')
        if (this.#stopped) return
        await new Promise((resolve) => setTimeout(resolve, retryMs))
      }
    }
  }
}

function statementFor(route: Route, change: Change, owner: string): [string, unknown[]] {
  const key = [route.businessId, route.direction, route.healthVersion, owner]
  switch (change.state) {
    case 'active':
      return [writeRouteActive, key]
    case 'parked':
      return [writeRouteParked, [...key, change.reason]]
    case 'failing':
      return [writeRouteFailing, [...key, change.reason, change.failingForMs, change.probes, change.probeInMs]]
  }
}
