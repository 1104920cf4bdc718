import type { Direction } from '../../outbox/routing.ts'

/**
 * The fair read: up to `$2` due deliveries of each route, so that no backlog hides another route's. It returns one text of
 * separated fields and the payload; parse it with `parseDueRow`.
 *
 * Parameters:
 * - `$1` slots
 * - `$2` rows per route
 * - `$3` where to begin on each route that has been read before, in microseconds of the epoch, as JSON
 *   (`{"10:inbound": 1767225600123456}`). It spares the dead index entries behind it.
 * - `$4` rows in all, and `$8` bytes of payload in all; the first row is returned whatever its size
 * - `$5` the business to begin after, or the businesses to read
 * - `$6` 0 for first attempts, 1 for retries
 * - `$7` ids that are already in memory, as the keys of a JSON object: their rows are still pending
 *
 * A route is left out while it is parked, while a `Retry-After` holds it, and while its breaker is open until its probe is
 * due; then one row is read. A first attempt waits while the earlier event of its call (`after`) is pending: until that one
 * has been tried, and for ten minutes from then on. (After an outage both may have been due for longer.)
 *
 * The plan matters (bench/NOTES.md, "read-due"): routes are sorted before anything of theirs is read, so that the read
 * ends with its limit; the final order names only their columns, or PostgreSQL 15 would sort all rows again; no output
 * column has the name of an ordering column; `limit` inside each lateral subquery keeps it a nested loop. The condition
 * `o.due_at <= clock_timestamp()` is always true and prevents a Memoize node that would copy every row.
 */
const dueOfRoutes = (condition: string): string => `
  select
    concat_ws('|',
      d.business_id, d.direction, coalesce(b.revision, -1), d.state, d.health_version, d.probes, d.failing_for_ms,
      d.id, d.version, d.attempt_count, d.step, d.requeued::integer, d.due_us, d.bytes,
      coalesce((extract(epoch from o.created_at) * 1000)::bigint, 0), coalesce(o.event_type, ''), o.call_sid) as fields,
    o.payload
  from (
    select r.business_id, r.direction, r.state, r.health_version, r.probes, r.failing_for_ms,
           o.id, o.version, o.attempt_count, o.step, o.requeued, o.bytes, o.due_at,
           (extract(epoch from o.due_at) * 1000000)::bigint as due_us,
           sum(o.bytes) over (order by r.business_id, r.direction rows unbounded preceding) - o.bytes as bytes_before
    from (
      select r.business_id, r.direction, r.state, r.health_version, r.probes,
             coalesce((extract(epoch from now() - r.failing_since) * 1000)::bigint, -1) as failing_for_ms
      from callbox.routes r
      where r.slot = any($1::smallint[])
        and (r.state = 'active' and (r.held_until is null or r.held_until <= now())
             or r.state = 'failing' and r.probe_at <= now())
        and ${condition}
      order by r.business_id, r.direction
    ) r
    cross join lateral (
      select *
      from callbox.webhook_due o
      where o.business_id = r.business_id
        and o.direction = r.direction
        and least(o.attempt_count, 1) = $6::integer
        and o.due_at <= now()
        and not $7::jsonb ? o.id::text
        and o.due_at >= coalesce(
          timestamptz 'epoch' + ($3::jsonb ->> (r.business_id || ':' || r.direction))::bigint * interval '1 microsecond',
          '-infinity')
        and ($6::integer = 1
             or o.after is null
             or not exists (
               select from callbox.webhook_due e
               where e.business_id = o.business_id and e.id = o.after
                 and (e.attempt_count = 0 or o.due_at >= now() - interval '10 minutes')))
      order by o.due_at
      limit case when r.state = 'failing' then 1 else $2::integer end
    ) o
    where o.due_at <= clock_timestamp()
    order by r.business_id, r.direction
    limit $4::integer
  ) d
  left join lateral (
    select b.revision from callbox.businesses b where b.business_id = d.business_id limit 1
  ) b on true
  left join lateral (
    select e.created_at, e.event_type, e.call_sid, e.payload
    from callbox.webhook_outbox e
    where e.business_id = d.business_id and e.id = d.id
    limit 1
  ) o on true
  where d.bytes_before < $8::bigint
  order by d.business_id, d.direction`

/** The sweep: all routes of the slots, beginning after a business. */
export const readDueOfSlots = dueOfRoutes('r.business_id > $5::bigint')

/** What a hint or a busy route asks for: the routes of these businesses alone. */
export const readDueOfBusinesses = dueOfRoutes('r.business_id = any($5::bigint[])')

/** A due delivery, with what a read brings along of its route and business. */
export interface DueRow {
  businessId: string
  direction: Direction
  /** `null`: there is no such business. */
  revision: number | null
  state: 'active' | 'failing'
  healthVersion: number
  probes: number
  /** `null`: it is not failing. */
  failingForMs: number | null
  id: string
  version: number
  attemptCount: number
  step: number
  requeued: boolean
  /** Microseconds of the epoch: milliseconds would lose the order of rows. */
  dueUs: number
  bytes: number
  /** Milliseconds of the epoch. */
  createdMs: number
  eventType: string
  callSid: string
  /** `null`: the event has none, as after half a restore. */
  payload: Buffer | null
}

const separator = '|'
/** Fields before the CallSid, which may contain the separator. */
const fieldCount = 16

/** Reads one row. @param fields as the statement joins them. */
export function parseDueRow(fields: string, payload: Buffer | null): DueRow {
  const parts = fields.split(separator)
  const callSid = parts.length === fieldCount + 1 ? parts[fieldCount] : parts.slice(fieldCount).join(separator)
  const revision = Number(parts[2])
  const failingForMs = Number(parts[6])
  return {
    businessId: parts[0] as string,
    direction: parts[1] as Direction,
    revision: revision < 0 ? null : revision,
    state: parts[3] as DueRow['state'],
    healthVersion: Number(parts[4]),
    probes: Number(parts[5]),
    failingForMs: failingForMs < 0 ? null : failingForMs,
    id: parts[7] as string,
    version: Number(parts[8]),
    attemptCount: Number(parts[9]),
    step: Number(parts[10]),
    requeued: parts[11] === '1',
    dueUs: Number(parts[12]),
    // A due row written by hand may not say it.
    bytes: Math.max(Number(parts[13]), payload?.length ?? 0),
    createdMs: Number(parts[14]),
    eventType: parts[15] as string,
    callSid: callSid ?? '',
    payload,
  }
}
