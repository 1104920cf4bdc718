import type { Knex } from 'knex'
import type { Direction } from './routing.ts'

export type RequeueOutcome =
  /** It is `pending` and due: by this, or it was already and has been left alone. */
  | { outcome: 'due'; businessId: string; direction: Direction; changed: boolean }
  /** Retention has taken its payload, so there is nothing to send. */
  | { outcome: 'payload_gone' }

/**
 * Of a delivery `o`. One that is due already is not touched: it may be in flight, and a new version would throw its
 * outcome away and send it twice. Not `now()`, which stands still: whoever waited for another requeue of it would take the
 * time that this one set for one to come.
 */
export const canBeRequeued = `o.has_payload and (o.status <> 'pending' or o.due_at > clock_timestamp())`

/** A finished delivery begins its schedule anew, its attempts counted on; a waiting one is only made due. */
export const tryAnew = `
  status = 'pending',
  step = case when o.status = 'pending' then o.step else 0 end,
  requeued = o.requeued or o.status <> 'pending',
  due_at = now(),
  finished_at = null,
  reason = null,
  version = o.version + 1`

/** An operator's order to try a delivery now, with the same id and bytes. Hint its route after the commit. */
export async function requeueDelivery(trx: Knex, businessId: string, id: string): Promise<RequeueOutcome> {
  const key = [businessId, id]
  const { rows: changed } = await trx.raw<{ rows: { direction: Direction }[] }>(
    `update callbox.webhook_outbox o set ${tryAnew}
     where business_id = ? and id = ?::uuid and ${canBeRequeued}
     returning direction`,
    key,
  )
  const { rows } = await trx.raw<{ rows: { direction: Direction; gone: boolean }[] }>(
    'select direction, not has_payload as gone from callbox.webhook_outbox where business_id = ? and id = ?::uuid',
    key,
  )
  const row = rows[0]
  if (row === undefined || row.gone) return { outcome: 'payload_gone' }
  if (changed.length > 0) await ensureRoutes(trx, businessId, [row.direction])
  return { outcome: 'due', businessId, direction: row.direction, changed: changed.length > 0 }
}

/** A delivery without the row of its route is never read. */
export async function ensureRoutes(trx: Knex, businessId: string, directions: readonly Direction[]): Promise<void> {
  await trx('callbox.routes')
    .insert(directions.map((direction) => ({ business_id: businessId, direction })))
    .onConflict(['business_id', 'direction'])
    .ignore()
}
