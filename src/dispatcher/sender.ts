import { randomUUID } from 'node:crypto'
import type { Config } from '../config.ts'
import { routeFor } from '../outbox/routing.ts'
import { AddressGuard } from './address-guard.ts'
import type { DatabaseClock } from './database-clock.ts'
import type { Endpoints } from './endpoints.ts'
import { Poster } from './post.ts'
import { atOnce, outcomeOf, parseRetryAfter } from './retry-policy.ts'
import type { RouteHealth } from './route-health.ts'
import type { RouteQueues, Turn } from './route-queues.ts'
import type { Settlement } from './settler.ts'
import { requestFor } from './webhook-request.ts'

interface SenderParts {
  config: Config['webhook']
  clock: DatabaseClock
  endpoints: Endpoints
  health: RouteHealth
  queues: RouteQueues
  settle: (settlement: Settlement) => void
}

/** Deliveries whose kept connection was closed are remembered until their next attempt, which may never come. */
const mostRemembered = 10_000

/** One attempt: from a route's turn to the settlement of its delivery. */
export class Sender {
  readonly #parts: SenderParts
  readonly #poster: Poster
  /** Ids of deliveries whose next attempt wants a new connection. */
  readonly #cutOff = new Set<string>()

  constructor(parts: SenderParts) {
    const { config, clock } = parts
    this.#parts = parts
    const guard = new AddressGuard(config)
    const readRetryAfter = (value: string | null) => parseRetryAfter(value, clock.now())
    this.#poster = new Poster(guard, config.timeoutMs, config.proxyUrl, readRetryAfter)
  }

  async close(): Promise<void> {
    await this.#poster.close()
  }

  /** Nothing is sent unsigned, and a delivery is not to blame for a secret that cannot be read. */
  #park(turn: Turn, why: string): void {
    const { route, delivery } = turn
    const { queues, health, settle } = this.#parts
    queues.answered(turn)
    health.park(route, `its signing secret or headers cannot be decrypted: ${why}`)
    settle({ delivery, attempt: null, outcome: atOnce(delivery) })
  }

  #settleUnsent(turn: Turn, outcome: Settlement['outcome']): void {
    this.#parts.queues.answered(turn)
    this.#parts.settle({ delivery: turn.delivery, attempt: null, outcome })
  }

  #remember(id: string): void {
    if (this.#cutOff.size >= mostRemembered) this.#cutOff.clear()
    this.#cutOff.add(id)
  }

  /** The URL is looked up now: a corrected one serves this very attempt. */
  send(turn: Turn): void {
    const { route, delivery } = turn
    const { clock, endpoints, health, queues, settle, config } = this.#parts
    const endpoint = endpoints.get(delivery.businessId)
    const routing = routeFor(delivery.direction, endpoint?.urls ?? null)
    if (endpoint === null || 'skipped' in routing) {
      const reason = 'skipped' in routing ? routing.skipped : 'the business is not known'
      this.#settleUnsent(turn, { status: 'skipped', reason })
      return
    }
    if (endpoint.sealError !== null) {
      this.#park(turn, endpoint.sealError)
      return
    }
    const { payload } = delivery
    if (payload === null) {
      this.#settleUnsent(turn, { status: 'failed', reason: 'its payload is not in the database' })
      return
    }
    const id = randomUUID()
    const startedMs = clock.now()
    const { url } = routing
    // Of an open breaker now: one that opens while this is under way makes no probe of it.
    const probe = route.breaker.open
    const newConnection = this.#cutOff.delete(delivery.id)
    void this.#poster.post(requestFor(delivery, payload, endpoint, url, startedMs), newConnection).then((result) => {
      const again = result.keptConnectionClosed && !newConnection && !probe
      if (again) this.#remember(delivery.id)
      else health.answered(route, result, probe, performance.now())
      const outcome = again ? atOnce(delivery) : outcomeOf(delivery, result, probe, config.retryScheduleMs, Math.random)
      queues.answered(turn)
      settle({ delivery, attempt: { id, startedMs, url, result }, outcome })
    })
  }
}
