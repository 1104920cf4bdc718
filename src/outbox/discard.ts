import type { Knex } from 'knex'
import type { Direction } from './routing.ts'

/** A settle that commits at the same moment can leave nothing to change; the next look sees what it did. */
const maxTries = 3

/**
 * The due row or the dead letter of a delivery becomes a dead letter `skipped`. An attempt that is in flight is recorded
 * when it ends, and changes nothing: the due row that its settle looks for is gone.
 */
const discardOne = `
  with event as materialized (
    select o.business_id, o.id, o.direction, o.created_at
    from callbox.webhook_outbox o
    where o.business_id = :business_id::bigint and o.id = :id::uuid
    for no key update
  ), withdrawn as (
    delete from callbox.webhook_due d
    using event e
    where d.business_id = e.business_id and d.id = e.id
    returning d.business_id, d.id, d.after, d.attempt_count
  ), passed_on as (
    -- What waited for this one waits for the one that this one waited for.
    update callbox.webhook_due d
    set after = w.after
    from withdrawn w
    where d.business_id = w.business_id and d.after = w.id and w.after is not null
  ), buried as (
    insert into callbox.webhook_dead_letters as l (
      business_id, id, status, reason, operator, attempt_count, direction, created_at
    )
    select e.business_id, e.id, 'skipped', :reason, :operator, w.attempt_count, e.direction, e.created_at
    from event e, withdrawn w
    on conflict (business_id, id) do update set status = 'skipped', reason = :reason, operator = :operator
    returning id
  ), reworded as (
    update callbox.webhook_dead_letters l
    set status = 'skipped', reason = :reason, operator = :operator
    from event e
    where l.business_id = e.business_id and l.id = e.id and l.operator is null
    returning l.id
  )
  select e.direction, exists (select from buried) or exists (select from reworded) as changed from event e`

export type DiscardOutcome = { outcome: 'discarded'; direction: Direction; changed: boolean } | { outcome: 'delivered' }

/**
 * Gives up a pending, failed or skipped delivery. A requeue brings it back.
 *
 * @param operator the name of the token that ordered it. @param reason in the operator's words.
 */
export async function discardDelivery(
  trx: Knex,
  businessId: string,
  id: string,
  operator: string,
  reason: string,
): Promise<DiscardOutcome> {
  for (let tried = 1; tried <= maxTries; tried += 1) {
    const { rows } = await trx.raw<{ rows: { direction: Direction; changed: boolean }[] }>(discardOne, {
      business_id: businessId,
      id,
      operator,
      reason,
    })
    const [row] = rows
    if (row?.changed) return { outcome: 'discarded', direction: row.direction, changed: true }
    const dead = await trx('callbox.webhook_dead_letters')
      .where({ business_id: businessId, id })
      .whereNotNull('operator')
      .first('id')
    if (row && dead !== undefined) return { outcome: 'discarded', direction: row.direction, changed: false }
  }
  return { outcome: 'delivered' }
}
