import { randomUUID } from 'node:crypto'
import type { Answered } from './post.ts'

/** The attempt of a peer's job: the same row in the same table as Callbox's, one statement for any number of them. */
export const recordAttempts = {
  name: 'record_attempts',
  text: `
    insert into webhook_attempts (
      business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code, response_excerpt
    )
    select business_id, delivery_id, id, 1, clock_timestamp(), duration_ms, url, 'ok', status_code,
           convert_to(excerpt, 'UTF8')
    from unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::integer[], $7::text[])
      as t (business_id, delivery_id, id, duration_ms, url, status_code, excerpt)`,
}

export interface MadeAttempt extends Answered {
  businessId: number
  url: string
}

export function attemptParameters(attempts: readonly MadeAttempt[]): unknown[] {
  return [
    attempts.map(({ businessId }) => businessId),
    attempts.map(() => randomUUID()),
    attempts.map(() => randomUUID()),
    attempts.map(({ durationMs }) => durationMs),
    attempts.map(({ url }) => url),
    attempts.map(({ statusCode }) => statusCode),
    attempts.map(({ excerpt }) => excerpt),
  ]
}
