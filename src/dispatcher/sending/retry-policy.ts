import type { Delivery } from '../delivery.ts'
import type { PostResult } from './post.ts'
import { describeFailure } from './verdict.ts'

export type Outcome =
  | { status: 'delivered'; reason: null }
  | { status: 'failed' | 'skipped'; reason: string }
  | { status: 'pending'; reason: null; waitMs: number; step: number }

/** Additive: spreads deliveries that failed together, and never makes one come early. */
const jitterShare = 0.1

/** Uses up none of the schedule: the delivery goes to the end of its route's queue. */
export function atOnce(delivery: Delivery): Outcome {
  return { status: 'pending', reason: null, waitMs: 0, step: delivery.step }
}

/**
 * What an attempt makes of its delivery. The wait is the schedule's, plus up to 10 % of jitter; a `Retry-After`
 * (RFC 9110, section 10.2.3) may lengthen it, up to the schedule's longest step.
 *
 * @param usesNoWait a failed probe of an open breaker, or a 410, which parks the route: the schedule stays where it is.
 * @param random from 0 to 1, exclusive.
 */
export function outcomeOf(
  delivery: Delivery,
  result: PostResult,
  usesNoWait: boolean,
  scheduleMs: readonly number[],
  random: () => number,
): Outcome {
  if (result.result === 'ok') return { status: 'delivered', reason: null }
  if (usesNoWait) return atOnce(delivery)
  const wait = scheduleMs[delivery.step]
  if (wait === undefined) {
    const reason = `no 2xx in ${scheduleMs.length + 1} attempts; the last: ${describeFailure(result)}`
    return { status: 'failed', reason }
  }
  const asked = Math.min(result.retryAfterMs ?? 0, Math.max(...scheduleMs))
  const waitMs = Math.round(Math.max(wait * (1 + jitterShare * random()), asked))
  return { status: 'pending', reason: null, waitMs, step: delivery.step + 1 }
}

/**
 * Reads `Retry-After`: whole seconds, or an HTTP date compared with the database's time.
 *
 * @returns milliseconds to wait; `null` for none, or one that makes no sense.
 */
export function parseRetryAfter(value: string | null, nowMs: number): number | null {
  if (value === null) return null
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const date = parseHttpDate(text)
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs)
}

/** The three forms of RFC 9110, section 5.6.7; Date.parse alone takes far more, a bare "-5" among it. */
function parseHttpDate(text: string): number {
  if (/^[A-Za-z]{3,9}, .*GMT$/.test(text)) return Date.parse(text)
  const asctime = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d [\d:]{8} \d{4}$/.test(text)
  return asctime ? Date.parse(`${text} GMT`) : Number.NaN
}
