import type { TimePlace } from '../database/time-place.ts'
import type { DeliveryFilter, DeliveryStatus } from './deliveries.ts'

/*
 * A walk over all deliveries that match a filter, from the oldest on and page by page. Each page looks at a bounded
 * number of rows in the order of an index, whatever matches: so it is short, and ten million rows that do not match only
 * make it many pages.
 */

/** What is walked: a filter with the statuses that it means, and its end. */
export interface Walk extends Omit<DeliveryFilter, 'status' | 'until'> {
  statuses: readonly DeliveryStatus[]
  /** RFC 3339; those created then or later are left out. */
  until: string
}

/** Rows that one page looks at, at most. */
export const pageSize = 5_000

const beforeAllIds = '00000000-0000-0000-0000-000000000000'

/**
 * Failed and skipped deliveries have an index of their own, by status and age, and those of a call too. All others are
 * met in the order in which they came, which is the order in which the table has them.
 */
const columns =
  'o.business_id, o.id, o.created_at, o.direction, o.event_type, o.status, o.due_at, o.payload is null as is_gone'
const nextOf = (condition: string): string => `
  select ${columns}
  from webhook_outbox o
  where (o.created_at, o.id) > (:at::timestamptz, :id::uuid) and o.created_at < :until::timestamptz and ${condition}
  order by o.created_at, o.id
  limit ${pageSize}`
const nextUnsent = `
  select next.*
  from unnest(:statuses::text[]) as wanted (status)
  cross join lateral (${nextOf(`o.status = wanted.status and o.status in ('failed', 'skipped')`)}) next
  order by created_at, id
  limit ${pageSize}`

/** The SQL of a page, `page`, and of what matches in it, `matching`, of which it takes `:most`. */
export function walkPage({ statuses, call_sid: callSid }: Walk): string {
  const isUnsent = statuses.every((status) => status === 'failed' || status === 'skipped')
  const source = callSid !== undefined ? nextOf('o.call_sid = :call_sid') : isUnsent ? nextUnsent : nextOf('true')
  return `
    page as materialized (${source}),
    matching as materialized (
      select * from page
      where status = any(:statuses::text[])
        and (:business_id::bigint is null or business_id = :business_id::bigint)
        and (:direction::text is null or direction = :direction::text)
        and (:event_type::text is null or event_type = :event_type::text)
      order by created_at, id
      limit :most
    ),
    -- Where the next page begins: after the last that matched, when there may be more that do.
    reached as materialized (
      select created_at, id from (
        select created_at, id from page
        where (select count(*) from matching) < :most
        union all
        select created_at, id from matching
      ) seen
      order by created_at desc, id desc
      limit 1
    )`
}

/** Where a walk begins; of its places only the first may be at `-infinity`. */
export const walkStart = ({ since }: Walk): TimePlace => ({ createdAt: since ?? '-infinity', id: beforeAllIds })

/** The values of {@link walkPage}. @param most how many that match a page takes at most. */
export function walkValues(walk: Walk, { createdAt, id }: TimePlace, most: number): Record<string, unknown> {
  return {
    ...{ at: createdAt, id, most, until: walk.until, statuses: [...walk.statuses], call_sid: walk.call_sid ?? null },
    ...{ business_id: walk.business_id ?? null, direction: walk.direction ?? null },
    event_type: walk.event_type ?? null,
  }
}
