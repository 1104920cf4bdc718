import type { Knex } from 'knex'
import type { Direction } from './routing.ts'

/*
 * Requeue: an operator's order to try deliveries again. A waiting delivery is made due and continues its schedule; an
 * ended one gets a new due row and starts its schedule over, with its attempts counted on. A delivery that is already due
 * may be in flight and is left alone: a new version would discard its outcome and send it twice.
 *
 * The event's row is locked first, against retention, which takes payloads. The version of a new due row comes from the
 * clock in microseconds: no dispatcher of an earlier life can hold it, so a late settle of that life changes nothing.
 */

/**
 * `event`: the locked events (`business_id, id, direction, bytes`; null bytes: retention took the payload) with the dead
 * letter of the statement's snapshot. A dead letter that another transaction changed while the lock was awaited is not
 * revived: the delivery may have been sent meanwhile.
 */
const requeueEvents = `
  hastened as (
    update callbox.webhook_due d
    set due_at = now(), version = d.version + 1
    from event e
    where d.business_id = e.business_id and d.id = e.id and e.bytes is not null and d.due_at > clock_timestamp()
    returning d.business_id, d.id
  ),
  revived as (
    delete from callbox.webhook_dead_letters l
    using event e
    where l.business_id = e.business_id and l.id = e.id and e.bytes is not null
      and l.status = e.dead_status and l.operator is not distinct from e.operator
    returning l.business_id, l.id, l.attempt_count
  ),
  restarted as (
    insert into callbox.webhook_due (business_id, id, direction, bytes, version, attempt_count, requeued)
    select e.business_id, e.id, e.direction, e.bytes, (extract(epoch from clock_timestamp()) * 1000000)::bigint,
           coalesce(r.attempt_count, (
             select coalesce(max(a.number), 0) from callbox.webhook_attempts a
             where a.business_id = e.business_id and a.delivery_id = e.id)),
           true
    from event e
    left join revived r on r.business_id = e.business_id and r.id = e.id
    where e.bytes is not null
      and (r.id is not null or e.dead_status is null)
      and not exists (select from callbox.webhook_due d where d.business_id = e.business_id and d.id = e.id)
    on conflict do nothing
    returning business_id, id
  ),
  changed as materialized (
    select business_id, id from hastened union all select business_id, id from restarted
  ),
  -- A delivery is never read without the row of its route.
  routes_changed as materialized (
    select distinct e.business_id, e.direction from changed join event e using (business_id, id)
  ),
  ensured as (
    insert into callbox.routes (business_id, direction)
    select business_id, direction from routes_changed order by business_id, direction
    on conflict do nothing
  )`

/** Locks the events of a subquery with `business_id` and `id`, in the order of their key. */
export const requeueOf = (keys: string): string => `
  event as materialized (
    select o.business_id, o.id, o.direction, octet_length(o.payload::text) as bytes, l.status as dead_status, l.operator
    from callbox.webhook_outbox o
    left join lateral (
      select status, operator from callbox.webhook_dead_letters
      where business_id = o.business_id and id = o.id
      limit 1
    ) l on true
    where (o.business_id, o.id) in (${keys})
    order by o.business_id, o.id
    for no key update of o
  ),
  ${requeueEvents}`

export type RequeueOutcome =
  /** It is `pending` and due: because of this order, or it was before and was left alone. */
  | { outcome: 'due'; businessId: string; direction: Direction; changed: boolean }
  /** Retention has taken its payload, so there is nothing to send. */
  | { outcome: 'payload_gone' }

const requeueOne = `
  with ${requeueOf('select :business_id::bigint, :id::uuid')}
  select e.direction, e.bytes is null as is_gone, exists (select from changed) as changed from event e`

/** A settle that commits at the same moment can leave nothing to change; the next look sees what it did. */
const maxTries = 3

/** Requeues one delivery, with the same id and bytes. Hint its route after the commit. */
export async function requeueDelivery(trx: Knex, businessId: string, id: string): Promise<RequeueOutcome> {
  for (let tried = 1; ; tried += 1) {
    const { rows } = await trx.raw<{ rows: { direction: Direction; is_gone: boolean; changed: boolean }[] }>(
      requeueOne,
      {
        business_id: businessId,
        id,
      },
    )
    const [row] = rows
    if (row === undefined || row.is_gone) return { outcome: 'payload_gone' }
    const { direction, changed } = row
    if (changed || tried === maxTries || (await isPending(trx, businessId, id))) {
      return { outcome: 'due', businessId, direction, changed }
    }
  }
}

async function isPending(trx: Knex, businessId: string, id: string): Promise<boolean> {
  const row = await trx('callbox.webhook_due').where({ business_id: businessId, id }).first('id')
  return row !== undefined
}

/** A delivery is never read without the row of its route. */
export async function ensureRoutes(trx: Knex, businessId: string, directions: readonly Direction[]): Promise<void> {
  await trx('callbox.routes')
    .insert(directions.map((direction) => ({ business_id: businessId, direction })))
    .onConflict(['business_id', 'direction'])
    .ignore()
}
