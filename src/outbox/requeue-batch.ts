import type { Knex } from 'knex'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import { isLastPage, type Walk, walkPage, walkValues } from './delivery-walk.ts'
import { canBeRequeued, tryAnew } from './requeue.ts'
import type { Direction } from './routing.ts'

/** Deliveries that one batch, and so one transaction, makes due. */
const batchSize = 500

export interface RequeuedBatch {
  /** Where the next batch begins; `null`: where this one began, since there was nothing more. */
  reached: TimePlace | null
  isLast: boolean
  /** Rows that were looked at. */
  examined: number
  matched: number
  requeued: number
  /** Pending and due, so left alone. */
  alreadyDue: number
  /** Without a payload, which retention has taken. */
  payloadGone: number
  /** To be hinted after the commit. */
  routes: { businessId: string; direction: Direction }[]
}

interface BatchRow {
  place_time: string | null
  place_id: string | null
  examined: number
  matched: number
  requeued: number
  already_due: number
  payload_gone: number
  routes: { business_id: string; direction: Direction }[]
}

/**
 * Requeues the next deliveries of a walk, by the rules of one alone (see `requeue.ts`).
 *
 * It locks the rows that it changes and no others, in the order of their key, and judges them again once it has them.
 * So it meets a settle on no row: what a dispatcher has in flight is pending and due, and that is neither locked nor
 * changed. Two batches whose filters overlap wait for each other in one order. Retention, which locks by age, skips what
 * is locked here. A row that somebody else has locked is waited for, not skipped: its turn would not come again.
 */
const requeueNext = (walk: Walk): string => `
  with ${walkPage(walk)},
  locked as materialized (
    select o.business_id, o.id
    from matching m
    join callbox.webhook_outbox o on o.business_id = m.business_id and o.id = m.id
    where o.status = any(:statuses::text[]) and ${canBeRequeued}
    order by o.business_id, o.id
    for update of o
  ),
  changed as (
    update callbox.webhook_outbox o set ${tryAnew}
    from locked l
    where o.business_id = l.business_id and o.id = l.id
    returning o.business_id, o.direction
  ),
  routes_changed as materialized (
    select distinct business_id, direction from changed
  ),
  -- A delivery without the row of its route is never read.
  ensured as (
    insert into callbox.routes (business_id, direction)
    select business_id, direction from routes_changed order by business_id, direction
    on conflict do nothing
  )
  select
    (select ${placeTime('created_at')} from reached) as place_time,
    (select id from reached) as place_id,
    (select n from looked_at) as examined,
    (select count(*)::integer from matching) as matched,
    (select count(*)::integer from changed) as requeued,
    (select count(*)::integer from matching m
     where not is_gone and status = 'pending' and not exists (select from locked l where l.id = m.id)) as already_due,
    (select count(*)::integer from matching where is_gone) as payload_gone,
    (select coalesce(json_agg(json_build_object('business_id', business_id::text, 'direction', direction)), '[]')
     from routes_changed) as routes`

export async function requeueBatch(trx: Knex.Transaction, walk: Walk, from: TimePlace): Promise<RequeuedBatch> {
  const { rows } = await trx.raw<{ rows: BatchRow[] }>(requeueNext(walk), walkValues(walk, from, batchSize))
  const [row] = rows
  if (row === undefined) throw new Error('a batch was requeued without an answer')
  const routes = row.routes.map(({ business_id, direction }) => ({ businessId: business_id, direction }))
  return {
    reached: row.place_time === null || row.place_id === null ? null : { createdAt: row.place_time, id: row.place_id },
    isLast: isLastPage(row.matched === batchSize, row.examined),
    examined: row.examined,
    matched: row.matched,
    requeued: row.requeued,
    alreadyDue: row.already_due,
    payloadGone: row.payload_gone,
    routes,
  }
}
