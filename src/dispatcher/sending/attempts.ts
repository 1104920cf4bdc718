import { randomUUID } from 'node:crypto'
import type { Config } from '../../config.ts'
import { routeFor } from '../../outbox/routing.ts'
import type { Delivery } from '../delivery.ts'
import type { DatabaseClock } from '../lease/database-clock.ts'
import type { HealthKeeper } from '../routes/health-keeper.ts'
import type { RouteQueues } from '../routes/route-queues.ts'
import type { Settlement } from '../settling/settler.ts'
import { AddressGuard } from './address-guard.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { Poster, type PostResult } from './post.ts'
import { atOnce, type Outcome, outcomeOf, parseRetryAfter } from './retry-policy.ts'
import { verdictOn } from './verdict.ts'
import { requestFor } from './webhook-request.ts'

interface AttemptDependencies {
  config: Config['webhook']
  clock: DatabaseClock
  endpoints: Endpoints
  health: HealthKeeper
  queues: RouteQueues
  settle: (settlement: Settlement) => void
}

/** How many deliveries whose kept connection was closed are remembered: their next attempt may never come. */
const maxRemembered = 10_000

/**
 * One attempt of a delivery, from its turn to its settlement. The path of a delivery:
 *
 * 1. `reading/reader.ts` reads its due row with the payload, and `reading/intake.ts` puts it into its route's queue.
 * 2. `routes/route-queues.ts` gives it a turn, when window, route limit, rate and health allow.
 * 3. `begin`, here: look up the endpoint, choose the URL, sign, POST; or end unsent.
 * 4. `#answered`, here: judge the answer. Who is at fault, what does it mean for the route, when is the next attempt?
 * 5. `settling/settler.ts` records the attempt and deletes the due row, updates it or moves it to dead letters, in batches.
 */
export class Attempts {
  readonly #dependencies: AttemptDependencies
  readonly #poster: Poster
  readonly #maxHoldMs: number
  /** Ids of deliveries whose next attempt needs a new connection. */
  readonly #needNewConnection = new Set<string>()

  constructor(dependencies: AttemptDependencies) {
    const { config, clock } = dependencies
    this.#dependencies = dependencies
    this.#maxHoldMs = Math.max(...config.retryScheduleMs)
    const guard = new AddressGuard(config)
    const readRetryAfter = (value: string | null) => parseRetryAfter(value, clock.now())
    this.#poster = new Poster(guard, config.timeoutMs, config.proxyUrl, readRetryAfter)
  }

  async close(): Promise<void> {
    await this.#poster.close()
  }

  /** The URL is looked up now, so a corrected one serves this very attempt. */
  begin(delivery: Delivery): void {
    const { endpoints } = this.#dependencies
    const { businessId, direction } = delivery.route
    const endpoint = endpoints.get(businessId)
    const routing = routeFor(direction, endpoint?.urls ?? null)
    if (endpoint === null || 'skipped' in routing) {
      const reason = 'skipped' in routing ? routing.skipped : 'the business is not known'
      this.#endUnsent(delivery, { status: 'skipped', reason })
    } else if (endpoint.sealError !== null) {
      this.#park(delivery, endpoint.sealError)
    } else if (delivery.payload === null) {
      this.#endUnsent(delivery, { status: 'failed', reason: 'its payload is not in the database' })
    } else {
      void this.#send(delivery, delivery.payload, endpoint, routing.url)
    }
  }

  async #send(delivery: Delivery, payload: Buffer, endpoint: Endpoint, url: string): Promise<void> {
    const { clock } = this.#dependencies
    const id = randomUUID()
    const startedMs = clock.now()
    // A breaker that opens during the attempt does not make it a probe.
    const isProbe = delivery.route.health.state === 'failing'
    const needsNewConnection = this.#needNewConnection.delete(delivery.id)
    const request = requestFor(delivery, payload, endpoint, url, startedMs)
    const result = await this.#poster.post(request, needsNewConnection)
    const isFree = result.keptConnectionClosed && !needsNewConnection && !isProbe
    this.#answered(delivery, { id, startedMs, url, result }, isProbe, isFree)
  }

  /** @param isFree the receiver closed a kept connection as the POST arrived: repeat it immediately on a new one. */
  #answered(
    delivery: Delivery,
    attempt: { id: string; startedMs: number; url: string; result: PostResult },
    isProbe: boolean,
    isFree: boolean,
  ): void {
    const { health, queues, settle, config } = this.#dependencies
    const { result } = attempt
    queues.answered(delivery)
    if (isFree) {
      this.#remember(delivery.id)
      settle({ delivery, attempt, outcome: atOnce(delivery) })
      return
    }
    const verdict = verdictOn(result, this.#maxHoldMs)
    health.judge(delivery.route, verdict, delivery.id, isProbe, performance.now())
    const usesNoWait = verdict.of === 'endpoint' && (isProbe || result.statusCode === 410)
    const outcome = outcomeOf(delivery, result, usesNoWait, config.retryScheduleMs, Math.random)
    settle({ delivery, attempt, outcome })
  }

  /** Nothing is sent unsigned, and an unusable secret is not the delivery's fault. */
  #park(delivery: Delivery, reason: string): void {
    this.#dependencies.health.park(delivery.route, `its signing secret or headers cannot be decrypted: ${reason}`)
    this.#endUnsent(delivery, atOnce(delivery))
  }

  #endUnsent(delivery: Delivery, outcome: Outcome): void {
    this.#dependencies.queues.answered(delivery)
    this.#dependencies.settle({ delivery, attempt: null, outcome })
  }

  #remember(id: string): void {
    if (this.#needNewConnection.size >= maxRemembered) this.#needNewConnection.clear()
    this.#needNewConnection.add(id)
  }
}
