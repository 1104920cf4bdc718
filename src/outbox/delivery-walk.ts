import type { TimePlace } from '../database/time-place.ts'
import { type DeliveryFilter, type DeliveryStatus, statusIs } from './deliveries.ts'

/*
 * A walk over all deliveries that match a filter, from the oldest on and page by page, each page in the order of an
 * index. So a page is short, and ten million rows that do not match only make it many pages.
 */

/** What is walked: a filter with the statuses that it means, and its end. */
export interface Walk extends Omit<DeliveryFilter, 'status' | 'until'> {
  statuses: readonly DeliveryStatus[]
  /** RFC 3339; events created then or later are left out. */
  until: string
}

/** Index rows that one page examines, at most. */
export const pageSize = 5_000

const beforeAllIds = '00000000-0000-0000-0000-000000000000'

/** Where a walk begins; only the first place may be at `-infinity`. */
export const walkStart = ({ since }: Walk): TimePlace => ({ createdAt: since ?? '-infinity', id: beforeAllIds })

const next = (table: string, conditions: readonly string[]): string => `
  select o.business_id, o.id, o.created_at, o.direction
  from ${table} o
  where (o.created_at, o.id) > (:at::timestamptz, :id::uuid) and o.created_at < :until::timestamptz
    ${conditions.map((condition) => `and ${condition}`).join(' ')}
  order by o.created_at, o.id
  limit ${pageSize}`

/** Whether dead letters are all that is walked, without the detour by a call. */
const isOfDeadLetters = ({ statuses, call_sid: callSid }: Walk): boolean =>
  callSid === undefined && statuses.every((status) => status === 'failed' || status === 'skipped')

/**
 * The next rows in the order of the index that fits best: dead letters by status and age, which includes business and
 * direction; the events of a call; or all events by age, which is the order in which the table has them
 * (bench/NOTES.md, "nextRows").
 */
function nextRows(walk: Walk): string {
  const { statuses, business_id: businessId, direction, call_sid: callSid } = walk
  if (!isOfDeadLetters(walk)) {
    return next('callbox.webhook_outbox', callSid === undefined ? [] : ['o.call_sid = :call_sid'])
  }
  const ofRoute = [
    ...(businessId === undefined ? [] : ['o.business_id = :business_id::bigint']),
    ...(direction === undefined ? [] : ['o.direction = :direction']),
  ]
  const each = statuses.map(
    (status) => `(${next('callbox.webhook_dead_letters', [`o.status = '${status}'`, ...ofRoute])})`,
  )
  return `select * from (${each.join(' union all ')}) dead order by created_at, id limit ${pageSize}`
}

/** Conditions on a row of the page that the index does not cover. */
function conditions(walk: Walk): string {
  const { statuses, event_type: eventType } = walk
  return [
    '(:business_id::bigint is null or page.business_id = :business_id::bigint)',
    '(:direction::text is null or page.direction = :direction::text)',
    ...(eventType === undefined
      ? []
      : [
          `(select e.event_type from callbox.webhook_outbox e
            where e.business_id = page.business_id and e.id = page.id limit 1) = :event_type::text`,
        ]),
    ...(isOfDeadLetters(walk) ? [] : [`(${statuses.map((status) => statusIs('page', status)).join(' or ')})`]),
  ].join('\n        and ')
}

/**
 * The SQL of a page: the first `:most` deliveries in it that match, as `matching`, and where the next page begins, as
 * `reached`. No more rows are read than it takes to find those.
 */
export function walkPage(walk: Walk): string {
  const rows = `(${nextRows(walk)}) page`
  return `
    matching as materialized (
      select page.business_id, page.id, page.created_at
      from ${rows}
      where ${conditions(walk)}
      order by page.created_at, page.id
      limit :most
    ),
    -- A page that is full of matches may have more of them after the last one; otherwise all of it has been examined.
    reached as materialized (
      select created_at, id from matching where (select count(*) from matching) >= :most
      union all
      select created_at, id from ${rows} where (select count(*) from matching) < :most
      order by created_at desc, id desc
      limit 1
    ),
    looked_at as materialized (
      select count(*)::integer as n from ${rows}, reached
      where (page.created_at, page.id) <= (reached.created_at, reached.id)
    )`
}

/** The SQL of everything that a walk matches, for PostgreSQL's estimate. */
export function allOfWalk(walk: Walk): string {
  const bounds = 'page.created_at >= :at::timestamptz and page.created_at < :until::timestamptz'
  const ofCall = walk.call_sid === undefined ? '' : 'and page.call_sid = :call_sid'
  return isOfDeadLetters(walk)
    ? `select from callbox.webhook_dead_letters page
       where ${bounds} and page.status in (${walk.statuses.map((status) => `'${status}'`).join(', ')})
         and ${conditions(walk)}`
    : `select from callbox.webhook_outbox page where ${bounds} ${ofCall} and ${conditions(walk)}`
}

/** @param isFull whether the page has as many matches as it may take. @param lookedAt rows that it examined. */
export const isLastPage = (isFull: boolean, lookedAt: number): boolean => !isFull && lookedAt < pageSize

/** The values of {@link walkPage}. @param most how many matches a page takes at most. */
export function walkValues(walk: Walk, { createdAt, id }: TimePlace, most: number): Record<string, unknown> {
  return {
    at: createdAt,
    id,
    most,
    until: walk.until,
    call_sid: walk.call_sid ?? null,
    business_id: walk.business_id ?? null,
    direction: walk.direction ?? null,
    event_type: walk.event_type ?? null,
  }
}
