import type { Knex } from 'knex'
import { enqueueFunction, enqueueWithPayload } from './004_outbox.ts'

/**
 * Payloads get a table of their own: within the row of its delivery each settle copied one. With 1.7 KB there a settle cost
 * PostgreSQL 41 µs a delivery and 4,570 bytes of WAL, without 25 µs and 1,112 (60,000 deliveries, 64 to a batch).
 *
 * This one is not additive: dispatchers of the version before read nothing any more, and record what they have in flight.
 */
export async function up(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>('select quote_ident(current_schema()) as name')
  const schema = rows[0]?.name ?? 'public'
  await knex.raw(`
    create table webhook_payloads (
      business_id bigint not null,
      delivery_id uuid not null,
      payload     json not null,
      primary key (business_id, delivery_id)
    );

    -- Nobody enqueues while they move.
    lock table webhook_outbox in access exclusive mode;
    insert into webhook_payloads (business_id, delivery_id, payload)
    select business_id, id, payload from webhook_outbox where payload is not null;
    alter table webhook_outbox add column has_payload boolean not null default true;
    update webhook_outbox set has_payload = false where payload is null;
    -- With the column go its check and the index of retention. An early version of this schema generated the slot.
    alter table webhook_outbox drop column payload, alter column slot drop expression if exists,
      add check (has_payload or status <> 'pending');
    comment on column webhook_outbox.has_payload is 'false once retention has taken it';
    create index webhook_outbox_retention on webhook_outbox (finished_at) where finished_at is not null and has_payload;

    -- What a settle takes, an array of these: sixteen arrays side by side cost it 9 µs a delivery before it began, this 2.
    create type webhook_settlement as (
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

    ${enqueueFunction(`
      -- One statement for what is usual, a new event of a known route, and none of its rows handed back.
      insert into ${schema}.webhook_outbox (business_id, id, call_sid, event_type, direction, slot)
      select business_id, delivery_id, call_sid, event_type, direction, r.slot
      from ${schema}.routes r
      where r.business_id = callbox_enqueue.business_id and r.direction = callbox_enqueue.direction
      on conflict do nothing;

      -- It was there, or its route was not.
      if not found then
        -- Only when it is missing: an insert of the same new route waits for the other transaction to end.
        insert into ${schema}.routes (business_id, direction)
        select business_id, direction
        where not exists (select from ${schema}.routes r where r.business_id = callbox_enqueue.business_id
                                                           and r.direction = callbox_enqueue.direction)
        on conflict do nothing;
        insert into ${schema}.webhook_outbox (business_id, id, call_sid, event_type, direction, slot)
        values (business_id, delivery_id, call_sid, event_type, direction, business_id % 64)
        on conflict do nothing;
        if not found then
          return delivery_id;
        end if;
      end if;

      -- Of a row that somebody deleted by hand the payload may have been left behind.
      insert into ${schema}.webhook_payloads (business_id, delivery_id, payload) values (business_id, delivery_id, payload)
      on conflict on constraint webhook_payloads_pkey do update set payload = excluded.payload;`)}
  `)
}

export async function down(knex: Knex): Promise<void> {
  const { rows } = await knex.raw<{ rows: { name: string }[] }>('select quote_ident(current_schema()) as name')
  const schema = rows[0]?.name ?? 'public'
  await knex.raw(`
    lock table webhook_outbox in access exclusive mode;
    alter table webhook_outbox add column payload json;
    update webhook_outbox o set payload = p.payload
    from webhook_payloads p
    where p.business_id = o.business_id and p.delivery_id = o.id;
    alter table webhook_outbox drop column has_payload, add check (payload is not null or status <> 'pending');
    create index webhook_outbox_retention on webhook_outbox (finished_at)
      where finished_at is not null and payload is not null;
    drop table webhook_payloads;
    drop type webhook_settlement;
    ${enqueueFunction(enqueueWithPayload(schema))}
  `)
}
