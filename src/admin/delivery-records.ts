import type { Knex } from 'knex'
import type { AttemptRow, DeliveryRow } from '../outbox/deliveries.ts'
import { Problem } from './problems.ts'
import type { AttemptAnswer, DeliveryAnswer } from './schemas/delivery.ts'

export const deliveryNotFound = (id: string): Problem => new Problem(404, `there is no delivery ${id}`)

/** What must happen before a pending delivery is tried; `null`: nothing. */
export async function waitsFor(
  knex: Knex,
  { business_id, direction }: Pick<DeliveryRow, 'business_id' | 'direction'>,
): Promise<string | null> {
  const parked = await knex('routes')
    .where({ business_id, direction, state: 'parked' })
    .first<{ state_reason: string | null } | undefined>('state_reason')
  return parked ? `its route to be unparked: ${parked.state_reason ?? 'no reason is known'}` : null
}

export function toDelivery(row: DeliveryRow): DeliveryAnswer {
  return {
    id: row.id,
    business_id: row.business_id,
    call_sid: row.call_sid,
    event_type: row.event_type,
    direction: row.direction,
    status: row.status,
    reason: row.reason,
    attempt_count: row.attempt_count,
    created_at: row.created_at.toISOString(),
    due_at: row.due_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
  }
}

export function toAttempt({ response_excerpt: excerpt, started_at: startedAt, ...row }: AttemptRow): AttemptAnswer {
  return {
    id: row.id,
    number: row.number,
    started_at: startedAt.toISOString(),
    duration_ms: row.duration_ms,
    url: row.url,
    result: row.result,
    status_code: row.status_code,
    error: row.error,
    response_excerpt: excerpt?.toString('utf8') ?? null,
  }
}
