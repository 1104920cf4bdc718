import type { Knex } from 'knex'
import { type BigTable, type Listing, type Look, listNewest, whereEqual } from '../database/newest-first.ts'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import type { Direction } from './routing.ts'

export type DeliveryStatus = 'pending' | 'delivered' | 'failed' | 'skipped'

/** Deliveries that have all of these; `until` itself is not included. Times are RFC 3339. */
export interface DeliveryFilter {
  status?: DeliveryStatus | undefined
  business_id?: string | undefined
  direction?: Direction | undefined
  event_type?: string | undefined
  call_sid?: string | undefined
  since?: string | undefined
  until?: string | undefined
}

export interface DeliveryRow {
  business_id: string
  id: string
  call_sid: string
  event_type: string
  direction: Direction
  status: DeliveryStatus
  reason: string | null
  attempt_count: number
  created_at: Date
  due_at: Date
  finished_at: Date | null
  /** Of its {@link TimePlace}. */
  place_time: string
}

export interface AttemptRow {
  id: string
  number: number
  started_at: Date
  duration_ms: number
  url: string
  result: 'ok' | 'http_error' | 'timeout' | 'dns' | 'connect' | 'tls' | 'reset' | 'blocked'
  status_code: number | null
  error: string | null
  response_excerpt: Buffer | null
}

const columns = [
  ...['business_id', 'id', 'call_sid', 'event_type', 'direction', 'status', 'reason'],
  ...['attempt_count', 'created_at', 'due_at', 'finished_at'],
] as const

/** An attempt is one row; a delivery that is requeued again and again has no end of them. */
const mostAttempts = 1_000

const outbox: BigTable<DeliveryRow> = {
  name: 'callbox.webhook_outbox',
  id: 'id',
  columns,
  placeOf: ({ place_time: createdAt, id }) => ({ createdAt, id }),
}

/** Newest first; from the place after `after`. A page may have fewer than `limit`, and a next one: see `listNewest`. */
export async function listDeliveries(
  knex: Knex,
  filter: DeliveryFilter,
  limit: number,
  after: TimePlace | undefined,
): Promise<Listing<DeliveryRow>> {
  const { since, until, ...equal } = filter
  return listNewest(knex, outbox, { since, until, after, ...indexed(equal) }, limit, (from, most) => {
    const rows = knex(from.as('o')).orderByRaw('created_at desc, id desc').limit(most)
    whereEqual(rows, equal)
    return rows.select<DeliveryRow[]>(...columns, knex.raw(placeTime('created_at')))
  })
}

/** Failed and skipped deliveries have an index by their age, pending ones another; delivered ones have none. */
function indexed({ status, business_id, direction, call_sid }: DeliveryFilter): Pick<Look, 'ordered' | 'narrow'> {
  if (call_sid !== undefined) return { ordered: {}, narrow: { call_sid } }
  if (status === 'failed' || status === 'skipped') return { ordered: { status, business_id, direction }, narrow: null }
  if (status === 'pending') return { ordered: {}, narrow: { status, business_id } }
  return { ordered: {}, narrow: business_id === undefined ? null : { business_id } }
}

/** Those of some keys, oldest first. */
export async function deliveriesOf(
  knex: Knex,
  keys: readonly { businessId: string; id: string }[],
): Promise<DeliveryRow[]> {
  return knex('callbox.webhook_outbox')
    .whereIn(
      ['business_id', 'id'],
      keys.map(({ businessId, id }) => [businessId, id]),
    )
    .orderBy(['created_at', 'id'])
    .select<DeliveryRow[]>(...columns, knex.raw(placeTime('created_at')))
}

/** The rows that match, in no order. */
export function matchingDeliveries(knex: Knex, filter: DeliveryFilter): Knex.QueryBuilder {
  const { since, until, ...equal } = filter
  const query = knex('callbox.webhook_outbox')
  whereEqual(query, equal)
  if (since !== undefined) query.whereRaw('created_at >= ?::timestamptz', [since])
  if (until !== undefined) query.whereRaw('created_at < ?::timestamptz', [until])
  return query
}

/** `null`: there is no such delivery. `payload` is the text as it is sent; `null` once retention has taken it. */
export async function findDelivery(knex: Knex, id: string): Promise<(DeliveryRow & { payload: string | null }) | null> {
  const businessId = await businessOf(knex, id)
  if (businessId === null) return null
  const row = await knex('callbox.webhook_outbox as o')
    .where({ business_id: businessId, id })
    .first<DeliveryRow & { payload: string | null }>(
      ...columns,
      knex.raw(placeTime('created_at')),
      knex.raw(
        `(select payload::text from callbox.webhook_payloads p where p.business_id = o.business_id and p.delivery_id = o.id) as payload`,
      ),
    )
  return row ?? null
}

/**
 * Whose delivery it is. The primary key begins with the business, so it is asked once for each business that has a
 * route: 27 ms with 10,000 businesses and 2 million rows on a 2-core machine (a bare `where id = …` takes 40 ms by
 * PostgreSQL 18's skip scan, and before that reads the whole index). An index on the id alone would answer at once, but
 * every delivery would pay for it twice, at its insert and at its settle.
 */
export async function businessOf(knex: Knex, id: string): Promise<string | null> {
  const { rows } = await knex.raw<{ rows: { business_id: string }[] }>(
    `select o.business_id
     from (select distinct business_id from callbox.routes) b
     cross join lateral (
       select business_id from callbox.webhook_outbox where business_id = b.business_id and id = ?::uuid limit 1
     ) o
     limit 1`,
    [id],
  )
  return rows[0]?.business_id ?? null
}

/** The last 1000 attempts, oldest first. */
export async function listAttempts(knex: Knex, businessId: string, deliveryId: string): Promise<AttemptRow[]> {
  const rows = await knex('callbox.webhook_attempts')
    .where({ business_id: businessId, delivery_id: deliveryId })
    .orderBy([
      { column: 'number', order: 'desc' },
      { column: 'started_at', order: 'desc' },
      { column: 'id', order: 'desc' },
    ])
    .limit(mostAttempts)
    .select<AttemptRow[]>(
      ...['id', 'number', 'started_at', 'duration_ms', 'url', 'result', 'status_code', 'error', 'response_excerpt'],
    )
  return rows.reverse()
}
