import type { Knex } from 'knex'
import type { AttemptRow, DeliveryRow } from '../outbox/deliveries.ts'
import { Problem } from './problems.ts'
import type { AttemptAnswer, DeliveryAnswer } from './schemas/delivery.ts'

export const deliveryNotFound = (id: string): Problem => new Problem(404, `there is no delivery ${id}`)

interface RouteInTrouble {
  state: 'parked' | 'failing'
  state_reason: string | null
  probe_at: Date | null
}

/** What must happen before a pending delivery is tried; `null`: nothing, or it is not pending. */
export async function waitsFor(
  knex: Knex,
  { business_id, direction, status }: Pick<DeliveryRow, 'business_id' | 'direction' | 'status'>,
): Promise<string | null> {
  if (status !== 'pending') return null
  const route = await knex('callbox.routes')
    .where({ business_id, direction })
    .whereIn('state', ['parked', 'failing'])
    .first<RouteInTrouble | undefined>('state', 'state_reason', 'probe_at')
  if (route === undefined) return null
  const reason = route.state_reason ?? 'no reason is known'
  if (route.state === 'parked') return `its route to be unparked: ${reason}`
  return `its endpoint to answer again: ${reason}; one delivery at a time is tried, the next at ${route.probe_at?.toISOString() ?? 'once'}`
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
    operator: row.operator,
    attempt_count: row.attempt_count,
    last_status_code: row.last_status_code,
    created_at: row.created_at.toISOString(),
    due_at: row.due_at?.toISOString() ?? null,
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
