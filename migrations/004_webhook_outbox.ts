import type { Knex } from 'knex'

/**
 * RFC 9562: the 13th hexadecimal digit is the version, 8, the 17th begins with the variant's bits, 10. `callbox_enqueue` has
 * the expression itself: calling the function costs it 5 µs more. The functions are named with their schema, or one of the
 * caller's schemas with arguments that fit better (`left(text, smallint)`) would be called instead.
 */
const deliveryId = `pg_catalog.overlay(pg_catalog.overlay(pg_catalog.left(pg_catalog.encode(pg_catalog.sha256(
        pg_catalog.convert_to(business_id::text || ':' || event_type || ':' || call_sid, 'UTF8')), 'hex'), 32),
        '8', 13), '8', 17)::uuid`

/**
 * The outbox, its routes and attempts, and `callbox_enqueue`, the one way in.
 *
 * The id of a delivery is an RFC 9562 UUIDv8 made of SHA-256 over business, event type and CallSid, so the
 * same event has the same id after a restore or a failover, and enqueuing it again changes nothing.
 * `payload` is `json`, which PostgreSQL keeps as the text it was given: the bytes that are sent. It has a table of its own,
 * or each settle would copy it with its row: 41 µs of PostgreSQL a settlement and 4,570 bytes of WAL with a payload of
 * 1.7 KB in the row, 25 µs and 1,112 bytes without (60,000 deliveries, 64 to a batch).
 *
 * `slot` is not a generated column: PostgreSQL 18 parses the expression of one anew for each row of an update that does not
 * concern it, which cost a settle 5 µs of 49 a delivery (13,300 deliveries/s; 14,600 without).
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.routes (
      business_id bigint not null check (business_id > 0),
      direction   text not null check (direction in ('inbound', 'outbound')),
      slot        smallint not null generated always as (business_id % 64) stored,
      primary key (business_id, direction)
    );
    create index routes_by_slot on callbox.routes (slot);

    create table callbox.webhook_outbox (
      business_id    bigint not null,
      id             uuid not null,
      call_sid       text not null,
      event_type     text not null,
      direction      text not null,
      slot           smallint not null,
      status         text not null default 'pending' check (status in ('pending', 'delivered', 'failed', 'skipped')),
      reason         text,
      version        integer not null default 0,
      attempt_count  integer not null default 0,
      step           integer not null default 0,
      requeued       boolean not null default false,
      created_at     timestamptz not null default clock_timestamp(),
      due_at         timestamptz not null default clock_timestamp(),
      finished_at    timestamptz,
      has_payload    boolean not null default true,
      primary key (business_id, id),
      check (has_payload or status <> 'pending')
    );
    comment on column callbox.webhook_outbox.slot is 'business_id % 64';
    comment on column callbox.webhook_outbox.step is 'waits of the retry schedule used since it last began';
    comment on column callbox.webhook_outbox.has_payload is 'false once retention has taken it';
    create index webhook_outbox_due on callbox.webhook_outbox (business_id, direction, due_at) where status = 'pending';
    -- Half empty: a settle puts a second entry of its row beside the first. In a full page PostgreSQL would look first which
    -- entries are dead: 4 of a settle's 40 µs.
    create index webhook_outbox_by_age on callbox.webhook_outbox (created_at, id) with (fillfactor = 50);
    create index webhook_outbox_unsent on callbox.webhook_outbox (status, created_at, id, business_id, direction)
      where status in ('failed', 'skipped');
    -- Asked for the very call alone. A settle writes an entry into each of these indexes anew: here it costs 6 µs in a B-tree, 3 so.
    create index webhook_outbox_by_call on callbox.webhook_outbox using hash (call_sid);
    create index webhook_outbox_retention on callbox.webhook_outbox (finished_at)
      where finished_at is not null and has_payload;

    -- Retention may empty it, but not shorten it: PostgreSQL would plan to read all of an empty file.
    create table callbox.webhook_payloads (
      business_id bigint not null,
      delivery_id uuid not null,
      payload     json not null,
      primary key (business_id, delivery_id)
    ) with (vacuum_truncate = off);
    comment on table callbox.webhook_payloads is
      'of deliveries that retention has not taken; who deletes a row of webhook_outbox by hand deletes its payload too';

    create table callbox.webhook_attempts (
      business_id      bigint not null,
      delivery_id      uuid not null,
      id               uuid not null,
      number           integer not null,
      started_at       timestamptz not null,
      duration_ms      integer not null,
      url              text not null,
      result           text not null
                       check (result in ('ok', 'http_error', 'timeout', 'dns', 'connect', 'tls', 'reset', 'blocked')),
      status_code      integer,
      error            text,
      response_excerpt bytea,
      primary key (business_id, delivery_id, id)
    );

    -- What a settle takes, an array of these: sixteen arrays side by side cost it 9 µs a delivery before it began, this 2.
    create type callbox.webhook_settlement as (
      business_id      bigint,
      delivery_id      uuid,
      version          integer,
      status           text,
      reason           text,
      wait_ms          float8,
      step             integer,
      attempt_id       uuid,
      number           integer,
      started_ms       float8,
      duration_ms      integer,
      url              text,
      result           text,
      status_code      integer,
      error            text,
      response_excerpt bytea
    );

    create function callbox.callbox_delivery_id(business_id bigint, call_sid text, event_type text) returns uuid
    language sql immutable parallel safe
    as $$
      select ${deliveryId}
    $$;

    create function callbox.callbox_enqueue(
      business_id bigint, call_sid text, event_type text, direction text, payload json
    ) returns uuid
    language plpgsql
    as $$
    #variable_conflict use_variable
    declare
      delivery_id uuid;
    begin
      -- Looked at together: each question alone costs as much as all of them.
      if (business_id > 0
          and length(call_sid) between 1 and 255
          and event_type ~ '^[a-z0-9_]+([.][a-z0-9_]+)*$' and length(event_type) <= 100
          and direction in ('inbound', 'outbound')
          and octet_length(payload::text) <= 1048576) is not true then
        if business_id is null or business_id < 1 then
          raise exception 'callbox_enqueue: business_id must be a positive bigint, got %', coalesce(business_id::text, 'null')
            using errcode = 'invalid_parameter_value';
        end if;
        if call_sid is null or call_sid = '' or length(call_sid) > 255 then
          raise exception 'callbox_enqueue: call_sid must be 1 to 255 characters, got %', coalesce(length(call_sid)::text, 'null')
            using errcode = 'invalid_parameter_value';
        end if;
        if event_type is null or event_type !~ '^[a-z0-9_]+([.][a-z0-9_]+)*$' or length(event_type) > 100 then
          raise exception 'callbox_enqueue: event_type must be lower-case words joined by dots, such as call.completed, got %',
            coalesce(quote_literal(left(event_type, 100)), 'null')
            using errcode = 'invalid_parameter_value';
        end if;
        if direction is null or direction not in ('inbound', 'outbound') then
          raise exception 'callbox_enqueue: direction must be inbound or outbound, got %',
            coalesce(quote_literal(left(direction, 100)), 'null')
            using errcode = 'invalid_parameter_value';
        end if;
        if payload is null then
          raise exception 'callbox_enqueue: payload must be json, got null' using errcode = 'invalid_parameter_value';
        end if;
        if octet_length(payload::text) > 1048576 then
          raise exception 'callbox_enqueue: payload must be at most 1048576 bytes, got %', octet_length(payload::text)
            using errcode = 'program_limit_exceeded';
        end if;
      end if;

      delivery_id := ${deliveryId};

      -- One statement for what is usual, a new event of a known route, and none of its rows handed back. When the payload was
      -- in this row, commits from 16 connections on 2 cores, beside 9,100/s of a bare insert: 7,000/s this way; 6,700/s with
      -- the route looked for in a RETURNING clause. What is left: a bare insert that returns its id, 8,400/s; a function that
      -- does no more than that, 7,900/s; this one without ON CONFLICT and the route, 7,400/s.
      insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, slot)
      select business_id, delivery_id, call_sid, event_type, direction, r.slot
      from callbox.routes r
      where r.business_id = callbox_enqueue.business_id and r.direction = callbox_enqueue.direction
      on conflict do nothing;

      -- It was there, or its route was not.
      if not found then
        -- Only when it is missing: an insert of the same new route waits for the other transaction to end.
        insert into callbox.routes (business_id, direction)
        select business_id, direction
        where not exists (select from callbox.routes r where r.business_id = callbox_enqueue.business_id
                                                           and r.direction = callbox_enqueue.direction)
        on conflict do nothing;
        insert into callbox.webhook_outbox (business_id, id, call_sid, event_type, direction, slot)
        values (business_id, delivery_id, call_sid, event_type, direction, business_id % 64)
        on conflict do nothing;
        if not found then
          return delivery_id;
        end if;
      end if;
      insert into callbox.webhook_payloads (business_id, delivery_id, payload) values (business_id, delivery_id, payload)
      on conflict do nothing;
      -- Somebody deleted the row by hand and left its payload. Two statements, or a program would need more than to insert.
      if not found then
        update callbox.webhook_payloads p set payload = callbox_enqueue.payload
        where p.business_id = callbox_enqueue.business_id and p.delivery_id = delivery_id;
      end if;
      return delivery_id;
    end
    $$;
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop function callbox.callbox_enqueue(bigint, text, text, text, json);
    drop function callbox.callbox_delivery_id(bigint, text, text);
    drop type callbox.webhook_settlement;
    drop table callbox.webhook_attempts, callbox.webhook_payloads, callbox.webhook_outbox, callbox.routes;
  `)
}
