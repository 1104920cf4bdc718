import type { Direction } from '../../outbox/routing.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Acknowledgement, Settlement } from './settler.ts'

/** Counts and logs what was just recorded. Successes are many and are logged at `debug`. */
export function reportSettlements(
  { settlements, superseded }: Acknowledgement,
  nowMs: number,
  { log, metrics }: { log: Logger; metrics: Metrics },
): void {
  const debug = log.isLevelEnabled('debug')
  const attempts = new Tally()
  const deliveries = new Tally()
  for (const settlement of settlements) {
    const { delivery, attempt, outcome } = settlement
    const { direction } = delivery.route
    const event_type = metrics.eventTypes.of(delivery.eventType)
    if (attempt) {
      attempts.count(direction, event_type, attempt.result.result)
      metrics.attemptDuration.observe(attempt.result.durationMs / 1000)
    }
    if (superseded.has(delivery.id)) {
      log.info(
        { event: 'webhook.superseded', ...factsOf(settlement) },
        'recorded an attempt; the delivery had moved on',
      )
      continue
    }
    if (outcome.status !== 'pending') deliveries.count(direction, event_type, outcome.status)
    switch (outcome.status) {
      case 'delivered':
        if (!delivery.requeued) {
          metrics.commitToDelivery.observe(Math.max(0, nowMs - delivery.createdMs) / 1000)
        }
        if (debug) log.debug({ event: 'webhook.delivered', ...factsOf(settlement) }, 'delivered')
        break
      case 'skipped':
        log.info(
          { event: 'webhook.skipped', ...factsOf(settlement), reason: outcome.reason },
          `skipped: ${outcome.reason}`,
        )
        break
      case 'failed':
        log.warn({ event: 'webhook.failed', ...factsOf(settlement) }, `gave up: ${outcome.reason}`)
        break
      case 'pending':
        if (outcome.step > delivery.step) metrics.retries.inc({ direction, event_type, step: outcome.step })
        log.info(
          { event: 'webhook.attempt', ...factsOf(settlement), wait_ms: outcome.waitMs },
          outcome.waitMs === 0 ? 'waits for its route' : `will try again in ${outcome.waitMs} ms`,
        )
    }
  }
  for (const { direction, event_type, end, count } of attempts) {
    metrics.attempts.inc({ direction, event_type, result: end }, count)
  }
  for (const { direction, event_type, end, count } of deliveries) {
    metrics.deliveries.inc({ direction, event_type, outcome: end }, count)
  }
}

interface Kind {
  direction: Direction
  event_type: string
  /** A result or an outcome. */
  end: string
  count: number
}

/** Most of a batch is of one kind, and to find a counter by its labels costs more than to count. */
class Tally {
  readonly #kinds: Kind[] = []

  count(direction: Direction, event_type: string, end: string): void {
    for (const kind of this.#kinds) {
      if (kind.end !== end || kind.direction !== direction || kind.event_type !== event_type) continue
      kind.count += 1
      return
    }
    this.#kinds.push({ direction, event_type, end, count: 1 })
  }

  [Symbol.iterator](): Iterator<Kind> {
    return this.#kinds.values()
  }
}

function factsOf({ delivery, attempt }: Settlement) {
  return {
    delivery_id: delivery.id,
    business_id: delivery.route.businessId,
    call_sid: delivery.callSid,
    direction: delivery.route.direction,
    event_type: delivery.eventType,
    number: delivery.attemptCount + 1,
    result: attempt?.result.result,
    status_code: attempt?.result.statusCode,
    duration_ms: attempt?.result.durationMs,
  }
}
