import type { Knex } from 'knex'
import { type BigTable, type Listing, type Look, listNewest, whereEqual } from '../database/newest-first.ts'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import type { Direction } from './routing.ts'

export type DeliveryStatus = 'pending' | 'delivered' | 'failed' | 'skipped'

/** Why a pending delivery has not been sent yet. */
export const pendingReasons = ['waiting', 'retrying', 'held_by_breaker', 'parked', 'rate_limited', 'after'] as const
export type PendingReason = (typeof pendingReasons)[number]

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
  /** Why it was skipped or failed; a {@link PendingReason} while it is pending. */
  reason: string | null
  /** The operator who discarded it. */
  operator: string | null
  attempt_count: number
  /** From the last attempt that was answered. */
  last_status_code: number | null
  created_at: Date
  /** `null`: it is not pending. */
  due_at: Date | null
  finished_at: Date | null
  /** The time in its {@link TimePlace}. */
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

export interface DeliveryKey {
  businessId: string
  id: string
}

/** A repeatedly requeued delivery has any number of attempts. */
const maxAttempts = 1_000

interface KeyRow {
  business_id: string
  id: string
  place_time: string
}

const listedColumns = ['business_id', 'id', 'created_at'] as const
const placeOf = ({ place_time: createdAt, id }: KeyRow): TimePlace => ({ createdAt, id })
const events: BigTable<KeyRow> = { name: 'callbox.webhook_outbox', id: 'id', columns: listedColumns, placeOf }
const deadLetters: BigTable<KeyRow> = { ...events, name: 'callbox.webhook_dead_letters' }

/** Pending deliveries with the columns of their events. */
const pendingEvents = `(
  select o.business_id, o.id, o.created_at
  from callbox.webhook_due d
  join callbox.webhook_outbox o on o.business_id = d.business_id and o.id = d.id)`

/** Newest first; from the place after `after`. A page may have fewer than `limit`, and a next one: see `listNewest`. */
export async function listDeliveries(
  knex: Knex,
  filter: DeliveryFilter,
  limit: number,
  after: TimePlace | undefined,
): Promise<Listing<DeliveryRow>> {
  const { since, until } = filter
  const { table, ...way } = wayTo(filter)
  const keys = await listNewest(knex, table, { since, until, after, ...way }, limit, (from, atMost) =>
    withConditions(knex.from(from.as('listed')), filter)
      .orderByRaw('created_at desc, id desc')
      .limit(atMost)
      .select<KeyRow[]>('business_id', 'id', knex.raw(placeTime('created_at'))),
  )
  const rows = await deliveriesOf(
    knex,
    keys.rows.map(({ business_id: businessId, id }) => ({ businessId, id })),
  )
  return { rows: rows.reverse(), next: keys.next }
}

/** Which table has the requested rows in list order, and which alternative leaves few rows. */
function wayTo({
  status,
  business_id,
  direction,
  call_sid,
}: DeliveryFilter): Pick<Look, 'ordered' | 'narrow'> & { table: BigTable<KeyRow> } {
  const narrow = (equal: Record<string, string>) => ({
    countedIn: events.name,
    from: events.name,
    equal,
    indexOrder: 'call_sid' in equal ? 'call_sid, business_id, created_at' : 'business_id, id',
  })
  if (call_sid !== undefined) return { table: events, ordered: {}, narrow: narrow({ call_sid }) }
  if (status === 'failed' || status === 'skipped') {
    return { table: deadLetters, ordered: { status, business_id, direction }, narrow: null }
  }
  if (status === 'pending') {
    const few = { countedIn: 'callbox.webhook_due', from: pendingEvents, equal: { business_id } }
    return { table: events, ordered: {}, narrow: few }
  }
  return { table: events, ordered: {}, narrow: business_id === undefined ? null : narrow({ business_id }) }
}

/** `offset 0` makes PostgreSQL look each row up by its key; otherwise it may read a whole table to join it. */
const eventOf = (conditions: string): string => `exists (
  select from callbox.webhook_outbox e
  where e.business_id = listed.business_id and e.id = listed.id and ${conditions} offset 0)`

/** The status as a condition. @param row a row with the key of an event. */
export function statusIs(row: string, status: DeliveryStatus): string {
  const isIn = (table: string, condition: string): string =>
    `exists (select from ${table} s where s.business_id = ${row}.business_id and s.id = ${row}.id${condition} offset 0)`
  const isPending = isIn('callbox.webhook_due', '')
  const isDead = (condition: string): string => isIn('callbox.webhook_dead_letters', condition)
  if (status === 'pending') return isPending
  return status === 'delivered' ? `not ${isPending} and not ${isDead('')}` : isDead(` and s.status = '${status}'`)
}

/** The filter as conditions on `listed`, which has the key of an event. */
function withConditions(
  rows: Knex.QueryBuilder,
  { status, business_id, direction, event_type, call_sid }: DeliveryFilter,
): Knex.QueryBuilder {
  whereEqual(rows, { business_id })
  if (direction !== undefined) rows.whereRaw(eventOf('e.direction = ?'), [direction])
  if (event_type !== undefined) rows.whereRaw(eventOf('e.event_type = ?'), [event_type])
  if (call_sid !== undefined) rows.whereRaw(eventOf('e.call_sid = ?'), [call_sid])
  if (status !== undefined) rows.whereRaw(statusIs('listed', status))
  return rows
}

/** What a pending delivery waits for, strongest reason first; `v` is the delivery and `r` its route. */
const pendingReason = `case
  when r.state = 'parked' then 'parked'
  when r.state = 'failing' then 'held_by_breaker'
  when r.held_until > now() then 'rate_limited'
  when v.due_at > now() and v.attempt_count > 0 then 'retrying'
  when v.attempt_count = 0 and exists (
    select from callbox.webhook_due e
    where e.business_id = v.business_id and e.id = v.after
      and (e.attempt_count = 0 or v.due_at >= now() - interval '10 minutes')) then 'after'
  else 'waiting'
end`

/** Deliveries as `v`, with their routes as `r`. */
function deliveries(knex: Knex): Knex.QueryBuilder<object, DeliveryRow[]> {
  return knex('callbox.webhook_deliveries as v')
    .leftJoin('callbox.routes as r', (on) =>
      on.on('r.business_id', 'v.business_id').andOn('r.direction', 'v.direction'),
    )
    .select<DeliveryRow[]>(
      ...['v.business_id', 'v.id', 'v.call_sid', 'v.event_type', 'v.direction', 'v.status', 'v.operator'],
      ...['v.attempt_count', 'v.created_at', 'v.due_at', 'v.finished_at'],
      knex.raw(`case when v.status = 'pending' then ${pendingReason} else v.reason end as reason`),
      knex.raw(
        `(select a.status_code from callbox.webhook_attempts a
          where a.business_id = v.business_id and a.delivery_id = v.id and a.status_code is not null
          order by a.number desc, a.started_at desc limit 1) as last_status_code`,
      ),
      knex.raw(placeTime('v.created_at')),
    )
}

/** Those of some keys, oldest first. */
export async function deliveriesOf(knex: Knex, keys: readonly DeliveryKey[]): Promise<DeliveryRow[]> {
  if (keys.length === 0) return []
  return deliveries(knex)
    .whereIn(
      ['v.business_id', 'v.id'],
      keys.map(({ businessId, id }) => [businessId, id]),
    )
    .orderBy(['v.created_at', 'v.id'])
}

/** `null`: there is no such delivery. `payload` is the text as it is sent; `null` once retention has taken it. */
export async function findDelivery(knex: Knex, id: string): Promise<(DeliveryRow & { payload: string | null }) | null> {
  const businessId = await businessOf(knex, id)
  if (businessId === null) return null
  const [row] = await deliveries(knex)
    .where({ 'v.business_id': businessId, 'v.id': id })
    .select<(DeliveryRow & { payload: string | null })[]>(
      knex.raw(
        `(select e.payload::text from callbox.webhook_outbox e
          where e.business_id = v.business_id and e.id = v.id) as payload`,
      ),
    )
  return row ?? null
}

/**
 * The business of a delivery. The primary key begins with the business, so it is searched once for each business with
 * a route. An index on the id alone would cost every enqueue (bench/NOTES.md, "businessOf").
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

/** A delivery and its attempts as they were at one moment; `null`: there is no such delivery. */
export function findDeliveryWithAttempts(
  knex: Knex,
  id: string,
): Promise<{ row: DeliveryRow & { payload: string | null }; attempts: AttemptRow[] } | null> {
  return knex.transaction(
    async (trx) => {
      const row = await findDelivery(trx, id)
      return row && { row, attempts: await listAttempts(trx, row.business_id, id) }
    },
    { isolationLevel: 'repeatable read', readOnly: true },
  )
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
    .limit(maxAttempts)
    .select<AttemptRow[]>(
      ...['id', 'number', 'started_at', 'duration_ms', 'url', 'result', 'status_code', 'error', 'response_excerpt'],
    )
  return rows.reverse()
}
