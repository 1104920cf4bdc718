import type { Verdict } from '../routes/route-health.ts'
import type { PostResult } from './post.ts'

/** 4xx that concern the endpoint; every other 4xx concerns the payload. */
const endpointStatuses = new Set([401, 402, 403, 404, 405, 407, 408, 410, 421, 425, 429])
/** The statuses whose `Retry-After` speaks for the whole endpoint (RFC 6585, section 4; RFC 9110, section 15.6.4). */
const holdingStatuses = new Set([429, 503])

/**
 * Decides who is at fault for a result, and so whether it counts for the route's breaker.
 *
 * @param maxHoldMs the longest wait of the retry schedule, which bounds a `Retry-After`.
 */
export function verdictOn(result: PostResult, maxHoldMs: number): Verdict {
  if (result.result === 'ok') return { of: 'endpoint', ok: true }
  const status = result.result === 'http_error' ? result.statusCode : null
  if (status !== null && status >= 400 && status < 500 && !endpointStatuses.has(status)) return { of: 'payload' }
  const isHolding = status !== null && holdingStatuses.has(status)
  return {
    of: 'endpoint',
    ok: false,
    reason: status === 410 ? 'the endpoint answered 410 Gone' : describeFailure(result),
    isGone: status === 410,
    holdMs: isHolding ? Math.min(result.retryAfterMs ?? 0, maxHoldMs) : 0,
  }
}

/** A failure in a few words, for the operator. */
export function describeFailure(result: PostResult): string {
  const status = result.statusCode === null ? '' : `HTTP ${result.statusCode}`
  if (result.result === 'http_error') return status
  // The status was a success, but the response never ended.
  return status === '' ? result.result : `${result.result} after ${status}`
}
