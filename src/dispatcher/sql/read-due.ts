/**
 * The fair read: up to `$2` due deliveries of each route, so that no backlog hides another route's.
 *
 * Parameters: `$1` slots; `$2` rows a route; `$3` where to begin on each route that has been read before, as JSON
 * (`{"10:inbound": "2026-01-01 00:00:00.123456Z"}`), which spares the dead index entries behind it; `$4` rows in
 * all; `$5` the business after which to begin; `$6` 0 for first attempts, 1 for retries. A parked route is left out,
 * and one with an open breaker until its probe is due; then that one is read: 300 such routes with a backlog had held up
 * a healthy one by 2.3 s (p99; 0.1 so). `$7` what is in memory already, ids as the keys of a JSON object: such rows are
 * pending still, and with 5,500 events/s they were two of three rows read; p50 went from 52 to 12 ms without them.
 *
 * The cursor is JSON and not a joined `unnest`, since Citus refuses LATERAL over `unnest` with a limit. The text of a
 * time in UTC, without its zone, sorts as the time does; it is not named `due_at`: the order would go by the text.
 *
 * The routes are put in order before anything of theirs is read, so that a read ends with its limit. Sorted at the end,
 * 250 routes with a backlog cost 42,625 rows and their payloads, 78 MB of them sorted on disk, to bring 1,024: 580 ms
 * instead of 35. So the order at the end names no more than theirs: with `due_at` in it PostgreSQL 15 sorts all of it again
 * (18 sorts within each route). Rows of a route come as the inner query orders them; where they do not, as when Citus
 * gathers them, nothing is left out (see `takeRows`).
 *
 * A payload that is missing, as after half a restore, hides neither its delivery nor the others of its route.
 *
 * The last condition is always true. Without it PostgreSQL 18 puts a Memoize node above the inner rows and copies each of
 * them, payload and all, for a route that is looked up once: 7.0 µs a row instead of 5.2. The one above the payloads costs
 * nothing: 12.1 µs a row with it, 13.6 without, 13.5 with a subquery in their place, 6.2 without the payloads.
 */
const dueOfRoutes = (condition: string): string => `
  select
    r.business_id, r.direction, b.revision,
    r.state, r.health_version, r.probes,
    date_part('epoch', now() - r.failing_since) * 1000 as failing_for_ms,
    o.id, o.call_sid, o.event_type, o.version, o.attempt_count, o.step, o.requeued,
    date_part('epoch', o.created_at) * 1000 as created_ms,
    (o.due_at at time zone 'UTC')::text as due_text,
    p.payload
  from (
    select r.business_id, r.direction, r.state, r.health_version, r.probes, r.failing_since
    from callbox.routes r
    where r.slot = any($1::smallint[])
      and (r.state = 'active' or r.state = 'failing' and r.probe_at <= now())
      and ${condition}
    order by r.business_id, r.direction
  ) r
  cross join lateral (
    select *
    from callbox.webhook_outbox o
    where o.business_id = r.business_id
      and o.direction = r.direction
      and o.status = 'pending'
      and least(o.attempt_count, 1) = $6::integer
      and o.due_at <= now()
      and not $7::jsonb ? o.id::text
      and o.due_at >= coalesce(($3::jsonb ->> (r.business_id || ':' || r.direction))::timestamptz, '-infinity')
    order by o.due_at
    limit case when r.state = 'failing' then 1 else $2::integer end
  ) o
  left join lateral (
    select b.revision
    from callbox.businesses b
    where b.business_id = r.business_id
    limit 1
  ) b on true
  left join lateral (
    select p.payload
    from callbox.webhook_payloads p
    where p.business_id = r.business_id
      and p.delivery_id = o.id
    limit 1
  ) p on true
  where o.due_at <= clock_timestamp()
  order by r.business_id, r.direction
  limit $4`

/** The sweep: all routes of the slots, beginning after a business. */
export const readDueOfSlots = dueOfRoutes('r.business_id > $5::bigint')

/** What a hint or a busy route asks for: the routes of these businesses alone. */
export const readDueOfBusinesses = dueOfRoutes('r.business_id = any($5::bigint[])')
