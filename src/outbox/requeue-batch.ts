import type { Knex } from 'knex'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import { isLastPage, type Walk, walkPage, walkValues } from './delivery-walk.ts'
import { requeueOf } from './requeue.ts'
import type { Direction } from './routing.ts'

/** Deliveries that one batch, and so one transaction, makes due. */
const batchSize = 500

export interface RequeuedBatch {
  /** Where the next batch begins; `null`: where this one began, since there was nothing more. */
  reached: TimePlace | null
  isLast: boolean
  /** Rows that were examined. */
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
  payload_gone: number
  /** Matched, but left unchanged. */
  unchanged: { business_id: string; id: string }[]
  routes: { business_id: string; direction: Direction }[]
}

/**
 * Requeues the next deliveries of a walk, by the rules for a single one (see `requeue.ts`).
 *
 * It locks the events in the order of their key, so that two batches whose filters overlap wait for each other in one
 * order, and retention skips what is locked here.
 */
const requeueNext = (walk: Walk): string => `
  with ${walkPage(walk)},
  ${requeueOf('select m.business_id, m.id from matching m')}
  select
    (select ${placeTime('created_at')} from reached) as place_time,
    (select id from reached) as place_id,
    (select n from looked_at) as examined,
    (select count(*)::integer from matching) as matched,
    (select count(*)::integer from changed) as requeued,
    (select count(*)::integer from event where bytes is null) as payload_gone,
    (select coalesce(json_agg(json_build_object('business_id', business_id::text, 'id', id)), '[]')
     from event
     where bytes is not null and (business_id, id) not in (select business_id, id from changed)) as unchanged,
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
    alreadyDue: await countPending(trx, row.unchanged),
    payloadGone: row.payload_gone,
    routes,
  }
}

/** Recounts the unchanged deliveries: some may have been settled while the batch waited for a lock. */
async function countPending(trx: Knex.Transaction, keys: BatchRow['unchanged']): Promise<number> {
  if (keys.length === 0) return 0
  const { rows } = await trx.raw<{ rows: { pending: number }[] }>(
    `select count(d.id)::integer as pending
     from unnest(?::bigint[], ?::uuid[]) as k (business_id, id)
     cross join lateral (
       select id from callbox.webhook_due where business_id = k.business_id and id = k.id limit 1
     ) d`,
    [keys.map((key) => key.business_id), keys.map(({ id }) => id)],
  )
  return rows[0]?.pending ?? 0
}
