import type { TimePlace } from '../database/time-place.ts'
import type { DeliveryFilter, DeliveryStatus } from './deliveries.ts'

/*
 * A walk over all deliveries that match a filter, from the oldest on and page by page, each page in the order of an
 * index. So a page is short, and ten million rows that do not match only make it many pages.
 */

/** What is walked: a filter with the statuses that it means, and its end. */
export interface Walk extends Omit<DeliveryFilter, 'status' | 'until'> {
  statuses: readonly DeliveryStatus[]
  /** RFC 3339; those created then or later are left out. */
  until: string
}

/** Rows of the index that one page looks at, at most. */
export const pageSize = 5_000

const beforeAllIds = '00000000-0000-0000-0000-000000000000'

/** Where a walk begins; of its places only the first may be at `-infinity`. */
export const walkStart = ({ since }: Walk): TimePlace => ({ createdAt: since ?? '-infinity', id: beforeAllIds })

const columns = 'o.business_id, o.id, o.created_at, o.direction, o.event_type, o.status, not o.has_payload as is_gone'

const next = (conditions: readonly string[]): string => `
  select ${columns}
  from callbox.webhook_outbox o
  where (o.created_at, o.id) > (:at::timestamptz, :id::uuid) and o.created_at < :until::timestamptz
    ${conditions.map((condition) => `and ${condition}`).join(' ')}
  order by o.created_at, o.id
  limit ${pageSize}`

/**
 * The next rows in the order of the index that fits best. Failed and skipped deliveries have one of their own, by status
 * and age, that knows their business and direction too; so have those of a call. All others are met in the order in
 * which they came, which is the order in which the table has them: 5 µs a row.
 */
function nextRows({ statuses, business_id: businessId, direction, call_sid: callSid }: Walk): string {
  if (callSid !== undefined) return next(['o.call_sid = :call_sid'])
  const unsent = statuses.filter((status) => status === 'failed' || status === 'skipped')
  if (unsent.length < statuses.length) return next([])
  const ofRoute = [
    ...(businessId === undefined ? [] : ['o.business_id = :business_id::bigint']),
    ...(direction === undefined ? [] : ['o.direction = :direction']),
  ]
  const each = unsent.map((status) => `(${next([`o.status = '${status}'`, ...ofRoute])})`)
  return `select * from (${each.join(' union all ')}) unsent order by created_at, id limit ${pageSize}`
}

/**
 * The SQL of a page: of what matches in it the first `:most`, as `matching`, and where the next page begins, as
 * `reached`. No more rows are read than it takes to find those.
 */
export function walkPage(walk: Walk): string {
  const rows = `(${nextRows(walk)}) page`
  return `
    matching as materialized (
      select * from ${rows}
      where status = any(:statuses::text[])
        and (:business_id::bigint is null or business_id = :business_id::bigint)
        and (:direction::text is null or direction = :direction::text)
        and (:event_type::text is null or event_type = :event_type::text)
      order by created_at, id
      limit :most
    ),
    -- With as many as it may take, there may be more that match after the last of them; else the page has been read.
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

/** @param isFull whether the page has as many as it may take that match. @param lookedAt rows that it looked at. */
export const isLastPage = (isFull: boolean, lookedAt: number): boolean => !isFull && lookedAt < pageSize

/** The values of {@link walkPage}. @param most how many that match a page takes at most. */
export function walkValues(walk: Walk, { createdAt, id }: TimePlace, most: number): Record<string, unknown> {
  return {
    ...{ at: createdAt, id, most, until: walk.until, statuses: [...walk.statuses], call_sid: walk.call_sid ?? null },
    ...{ business_id: walk.business_id ?? null, direction: walk.direction ?? null },
    event_type: walk.event_type ?? null,
  }
}
