import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Settlement } from './settler.ts'

/** Counts and logs what was just recorded. A success is one of many and goes to `debug`; the rest tells a story. */
export function reportSettlements(
  batch: readonly Settlement[],
  changed: (settlement: Settlement) => boolean,
  nowMs: number,
  { log, metrics }: { log: Logger; metrics: Metrics },
): void {
  const debug = log.isLevelEnabled('debug')
  for (const settlement of batch) {
    const { delivery, attempt, outcome } = settlement
    const { direction, eventType: event_type } = delivery
    if (attempt) {
      metrics.attempts.inc({ direction, event_type, result: attempt.result.result })
      metrics.attemptDuration.observe(attempt.result.durationMs / 1000)
    }
    if (!changed(settlement)) {
      log.info(
        { event: 'webhook.superseded', ...factsOf(settlement) },
        'recorded an attempt; the delivery had moved on',
      )
      continue
    }
    if (outcome.status !== 'pending') metrics.deliveries.inc({ direction, event_type, outcome: outcome.status })
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
}

function factsOf({ delivery, attempt }: Settlement) {
  return {
    delivery_id: delivery.id,
    business_id: delivery.businessId,
    call_sid: delivery.callSid,
    direction: delivery.direction,
    event_type: delivery.eventType,
    number: delivery.attemptCount + 1,
    result: attempt?.result.result,
    status_code: attempt?.result.statusCode,
    duration_ms: attempt?.result.durationMs,
  }
}
