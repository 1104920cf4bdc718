import type { Knex } from 'knex'
import { placeTime } from '../database/time-place.ts'
import type { Direction } from '../outbox/routing.ts'
import type { AuditAction, AuditEntry, AuditListQuery } from './schemas/audit.ts'

/** A change that an operator made, and to what. */
interface Act {
  operator: string
  action: AuditAction
  businessId?: string | null
  direction?: Direction | null
  callSid?: string
  deliveryId?: string
  requeueId?: string
  /** Names of fields and harmless values: no secret, no phone number, no URL, since their paths can be secret. */
  detail?: Record<string, unknown>
}

interface AuditRow extends Omit<AuditEntry, 'at'> {
  at: Date
  /** Of its `TimePlace`. */
  place_time: string
}

/**
 * Keeps a change on record, in its own transaction. Orders that changed nothing, such as to park a parked route, are
 * not recorded; the log has them.
 */
export async function recordAct(trx: Knex.Transaction, act: Act): Promise<void> {
  await trx('callbox.audit').insert({
    operator: act.operator,
    action: act.action,
    business_id: act.businessId ?? null,
    direction: act.direction ?? null,
    call_sid: act.callSid ?? null,
    delivery_id: act.deliveryId ?? null,
    requeue_id: act.requeueId ?? null,
    detail: JSON.stringify(act.detail ?? {}),
  })
}

/** Newest first; from the place after `cursor`. @param limit in place of the query's own. */
export async function listAudit(knex: Knex, query: AuditListQuery, limit: number): Promise<AuditRow[]> {
  const { operator, action, business_id: businessId, since, until, cursor } = query
  const rows = knex('callbox.audit').orderByRaw('at desc, id desc').limit(limit)
  if (operator !== undefined) rows.where({ operator })
  if (action !== undefined) rows.where({ action })
  if (businessId !== undefined) rows.where({ business_id: businessId })
  if (since !== undefined) rows.whereRaw('at >= ?::timestamptz', [since])
  if (until !== undefined) rows.whereRaw('at < ?::timestamptz', [until])
  if (cursor) rows.whereRaw('(at, id) < (?::timestamptz, ?::bigint)', [cursor.createdAt, cursor.id])
  return rows.select<AuditRow[]>('*', knex.raw(placeTime('at')))
}

export function toAuditEntry({ place_time: _, at, ...row }: AuditRow): AuditEntry {
  return { ...row, at: at.toISOString() }
}
