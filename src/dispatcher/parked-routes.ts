import type pg from 'pg'
import type { Direction } from '../outbox/routing.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Lease } from './lease.ts'
import type { RouteHealth } from './route-health.ts'
import type { RouteQueues } from './route-queues.ts'
import { readParkedRoutes } from './sql/route-health.ts'

const intervalMs = 1_000

interface ParkedRow {
  business_id: string
  direction: Direction
  health_version: number
}

interface ParkedParts {
  pool: pg.Pool
  lease: Lease
  queues: RouteQueues
  health: RouteHealth
  log: Logger
}

/** Looks every second which routes an operator has parked: reads leave those out, but some of them may be in memory. */
export class ParkedRoutes {
  readonly #parts: ParkedParts
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  #stopped = false

  constructor(parts: ParkedParts) {
    this.#parts = parts
  }

  start(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      this.#looking = this.#look()
        .catch((err: unknown) => {
          this.#parts.log.warn({ event: 'route.parked_unread', err }, 'parked routes could not be read')
        })
        .then(() => this.start())
    }, intervalMs)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    await this.#looking
  }

  async #look(): Promise<void> {
    const { pool, lease, queues, health } = this.#parts
    if (lease.owned.size === 0) return
    const { rows } = await pool.query<ParkedRow>(readParkedRoutes, [[...lease.owned]])
    for (const { business_id, direction, health_version } of rows) {
      const route = queues.find(business_id, direction)
      if (route) health.adoptParked(route, health_version)
    }
  }
}
