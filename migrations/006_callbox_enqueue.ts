import type { Knex } from 'knex'

/**
 * An RFC 9562 UUIDv8: the 13th hexadecimal digit is the version, 8, and the 17th begins with the variant's bits, 10.
 * `callbox_enqueue` contains the expression itself, which is cheaper (bench/NOTES.md, "callbox_enqueue"). Functions are named with
 * their schema; otherwise a better match in the caller's search_path (`left(text, smallint)`) would be called.
 */
const deliveryId = (text: string): string =>
  `pg_catalog.overlay(pg_catalog.overlay(pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(
        pg_catalog.convert_to(${text}, 'UTF8')), 'hex'), 32), '8', 13), '8', 17)::uuid`

/**
 * The text that an id is derived from. Neither a business id nor an event type contains a separator, so each text stands for one event.
 * With a key, the CallSid's length says where the key begins.
 */
const withoutKey = `business_id::text || ':' || event_type || ':' || call_sid`
const withKey = `business_id::text || ';' || event_type || ';' || length(call_sid)::text || ';' || call_sid || key`

const invalid = 'invalid_parameter_value'
const refuse = (condition: string, text: string, value: string, code = invalid): string => `
        if ${condition} then
          raise exception 'callbox_enqueue: ${text}, got %', ${value} using errcode = '${code}';
        end if;`

/**
 * `callbox_enqueue`, the one way into the outbox, callable by any program inside its own transaction. A connection keeps the
 * plans of its first calls, so a plan made while the outbox is empty must not read all of it (bench/NOTES.md,
 * "callbox_enqueue").
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create function callbox.callbox_delivery_id(business_id bigint, call_sid text, event_type text, key text default '')
    returns uuid
    language sql immutable parallel safe
    as $$
      select case when key = '' then ${deliveryId(withoutKey)} else ${deliveryId(withKey)} end
    $$;

    create function callbox.callbox_enqueue(
      business_id bigint, call_sid text, event_type text, direction text, payload json, key text default ''
    ) returns uuid
    language plpgsql
    set enable_seqscan = off
    as $$
    #variable_conflict use_variable
    declare
      delivery_id uuid;
    begin
      -- Checked together: each condition alone costs as much as all of them.
      if (business_id > 0
          and length(call_sid) between 1 and 255
          and event_type ~ '^[a-z0-9_]+([.][a-z0-9_]+)*$' and length(event_type) <= 100
          and direction in ('inbound', 'outbound')
          and octet_length(payload::text) <= 1048576
          and length(key) <= 255) is not true then${[
            refuse(
              'business_id is null or business_id < 1',
              'business_id must be a positive bigint',
              `coalesce(business_id::text, 'null')`,
            ),
            refuse(
              `call_sid is null or call_sid = '' or length(call_sid) > 255`,
              'call_sid must be 1 to 255 characters',
              `coalesce(length(call_sid)::text, 'null')`,
            ),
            refuse(
              `event_type is null or event_type !~ '^[a-z0-9_]+([.][a-z0-9_]+)*$' or length(event_type) > 100`,
              'event_type must be lower-case words joined by dots, such as call.completed',
              `coalesce(quote_literal(left(event_type, 100)), 'null')`,
            ),
            refuse(
              `direction is null or direction not in ('inbound', 'outbound')`,
              'direction must be inbound or outbound',
              `coalesce(quote_literal(left(direction, 100)), 'null')`,
            ),
            refuse('payload is null', 'payload must be json', `'null'`),
            refuse(
              'octet_length(payload::text) > 1048576',
              'payload must be at most 1048576 bytes',
              'octet_length(payload::text)',
              'program_limit_exceeded',
            ),
            refuse(
              'key is null or length(key) > 255',
              'key must be at most 255 characters',
              `coalesce(length(key)::text, 'null')`,
            ),
          ].join('')}
      end if;

      if key = '' then
        delivery_id := ${deliveryId(withoutKey)};
      else
        delivery_id := ${deliveryId(withKey)};
      end if;

      insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, payload)
      values (business_id, delivery_id, call_sid, event_type, direction, payload)
      on conflict do nothing;
      if not found then
        return delivery_id;
      end if;

      -- Only the newest earlier event can hold this one back: any event before it has been failing for ten minutes if that
      -- one was sent ahead of it. One statement for the usual case, a known route.
      insert into callbox.webhook_due (business_id, id, direction, bytes, after)
      select business_id, delivery_id, direction, octet_length(payload::text), (
        select d.id
        from (
          -- With equalities PostgreSQL may search the events by age, or the pending deliveries of the whole business.
          select o.id
          from callbox.webhook_outbox o
          where (o.call_sid, o.business_id) >= (callbox_enqueue.call_sid, callbox_enqueue.business_id)
            and (o.call_sid, o.business_id) <= (callbox_enqueue.call_sid, callbox_enqueue.business_id)
            and o.direction = callbox_enqueue.direction
            and o.id <> delivery_id
          order by o.call_sid desc, o.business_id desc, o.created_at desc
          limit 1
        ) previous
        cross join lateral (
          select d.id
          from callbox.webhook_due d
          where (d.business_id, d.id) >= (callbox_enqueue.business_id, previous.id)
            and (d.business_id, d.id) <= (callbox_enqueue.business_id, previous.id)
          order by d.business_id, d.id
          limit 1
        ) d
      )
      from callbox.routes r
      where r.business_id = callbox_enqueue.business_id and r.direction = callbox_enqueue.direction
      on conflict do nothing;
      if found then
        return delivery_id;
      end if;

      -- The route is new (inserting one that another transaction is inserting waits for that transaction), or a due row was
      -- left behind when its event was deleted by hand.
      insert into callbox.routes (business_id, direction) values (business_id, direction) on conflict do nothing;
      insert into callbox.webhook_due (business_id, id, direction, bytes)
      values (business_id, delivery_id, direction, octet_length(payload::text))
      on conflict do nothing;
      return delivery_id;
    end
    $$;

    create function callbox.callbox_enqueue(
      business_id bigint, call_sid text, event_type text, direction text, payload jsonb, key text default ''
    ) returns uuid
    language sql
    as $$
      select callbox.callbox_enqueue(business_id, call_sid, event_type, direction, payload::json, key)
    $$;

    -- PostgreSQL resolves a literal or a parameter of unknown type to text, which decides between json and jsonb.
    create function callbox.callbox_enqueue(
      business_id bigint, call_sid text, event_type text, direction text, payload text, key text default ''
    ) returns uuid
    language sql
    as $$
      select callbox.callbox_enqueue(business_id, call_sid, event_type, direction, payload::json, key)
    $$;
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop function callbox.callbox_enqueue(bigint, text, text, text, text, text);
    drop function callbox.callbox_enqueue(bigint, text, text, text, jsonb, text);
    drop function callbox.callbox_enqueue(bigint, text, text, text, json, text);
    drop function callbox.callbox_delivery_id(bigint, text, text, text);
  `)
}
