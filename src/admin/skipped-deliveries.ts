import type { Knex } from 'knex'
import type { Direction } from '../outbox/routing.ts'
import { type BusinessRow, effectiveUrl } from './business-records.ts'

export type FittingDeliveries = Record<Direction, number>

const mostCounted = 10_000

/**
 * How many skipped deliveries a changed URL would take if they were requeued; those whose payload is gone cannot be.
 * Of each direction the newest 10,000 are looked at.
 *
 * @param before `null`: the business is new.
 */
export async function skippedDeliveriesThatFit(
  knex: Knex,
  before: BusinessRow | null,
  after: BusinessRow,
): Promise<FittingDeliveries> {
  const count = (direction: Direction): Promise<number> => {
    const url = effectiveUrl(direction, after)
    const isNew = url !== null && url !== effectiveUrl(direction, before)
    return isNew ? countSkipped(knex, after.business_id, direction) : Promise.resolve(0)
  }
  return { inbound: await count('inbound'), outbound: await count('outbound') }
}

async function countSkipped(knex: Knex, businessId: string, direction: Direction): Promise<number> {
  const { rows } = await knex.raw<{ rows: { fitting: number }[] }>(
    `select (count(*) filter (where o.payload is not null))::integer as fitting
     from (
       select business_id, id
       from callbox.webhook_dead_letters
       where status = 'skipped' and business_id = ? and direction = ?
       order by created_at desc
       limit ?
     ) newest
     join callbox.webhook_outbox o on o.business_id = newest.business_id and o.id = newest.id`,
    [businessId, direction, mostCounted],
  )
  return rows[0]?.fitting ?? 0
}
