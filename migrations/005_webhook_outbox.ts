import type { Knex } from 'knex'

/**
 * The outbox in tables by how often a row changes: events never, due rows at every attempt, dead letters when a delivery
 * is given up or requeued, attempts never. A delivery's status is derived: it has a due row (`pending`), a dead letter
 * (`failed` or `skipped`), or neither (`delivered`). The view `webhook_deliveries` is that derivation.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.webhook_outbox (
      business_id bigint not null,
      id          uuid not null,
      call_sid    text not null,
      event_type  text not null,
      direction   text not null,
      created_at  timestamptz not null default clock_timestamp(),
      payload     json,
      primary key (business_id, id)
    );
    comment on table callbox.webhook_outbox is 'events; written once by callbox_enqueue';
    comment on column callbox.webhook_outbox.payload is 'the bytes to send, as the text that was given; null once retention has emptied it';
    create index webhook_outbox_by_age on callbox.webhook_outbox (created_at, id);
    create index webhook_outbox_by_call on callbox.webhook_outbox (call_sid, business_id, created_at);
    create index webhook_outbox_retention on callbox.webhook_outbox (created_at) where payload is not null;

    -- Rows come and go with every delivery: vacuum by their number, not by a share of the table.
    create table callbox.webhook_due (
      business_id   bigint not null,
      id            uuid not null,
      direction     text not null,
      bytes         integer not null default 0,
      due_at        timestamptz not null default clock_timestamp(),
      version       bigint not null default 0,
      attempt_count integer not null default 0,
      step          integer not null default 0,
      requeued      boolean not null default false,
      after         uuid,
      primary key (business_id, id)
    ) with (vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
    comment on table callbox.webhook_due is 'deliveries that are pending; a row exists exactly as long as its delivery is';
    comment on column callbox.webhook_due.bytes is 'the size of the payload, by which reads are bounded';
    comment on column callbox.webhook_due.version is
      'the fence: every change is a compare-and-swap; a requeue starts from the clock in microseconds, above any version of an earlier life';
    comment on column callbox.webhook_due.step is 'waits of the retry schedule used since it last began';
    comment on column callbox.webhook_due.after is 'the previous event of the call on this route, if it was pending at the enqueue';
    -- First attempts and retries are read apart, so that a backlog of retries does not hide a new call. A boolean expression
    -- would not do: PostgreSQL simplifies a comparison with false and then does not match it with the index.
    create index webhook_due_by_lane on callbox.webhook_due (business_id, direction, least(attempt_count, 1), due_at);
    create index webhook_due_after on callbox.webhook_due (business_id, after) where after is not null;

    create table callbox.webhook_dead_letters (
      business_id   bigint not null,
      id            uuid not null,
      status        text not null check (status in ('failed', 'skipped')),
      reason        text,
      operator      text,
      attempt_count integer not null default 0,
      finished_at   timestamptz not null default clock_timestamp(),
      direction     text not null,
      created_at    timestamptz not null,
      primary key (business_id, id)
    );
    comment on table callbox.webhook_dead_letters is 'deliveries that ended failed or skipped';
    comment on column callbox.webhook_dead_letters.operator is 'who discarded it; null: a dispatcher ended it';
    comment on column callbox.webhook_dead_letters.created_at is 'of the event, for lists in its order';
    -- Direction and age come from the event unless they are given, so that a row may also be written by hand.
    create function callbox.webhook_dead_letter_of_event() returns trigger
    language plpgsql
    as $$
    begin
      select coalesce(new.direction, o.direction), coalesce(new.created_at, o.created_at)
      into new.direction, new.created_at
      from callbox.webhook_outbox o
      where o.business_id = new.business_id and o.id = new.id;
      return new;
    end
    $$;
    create trigger webhook_dead_letter_of_event before insert on callbox.webhook_dead_letters
      for each row when (new.direction is null or new.created_at is null)
      execute function callbox.webhook_dead_letter_of_event();
    create index webhook_dead_letters_by_age
      on callbox.webhook_dead_letters (status, created_at, id, business_id, direction);
    create index webhook_dead_letters_by_end on callbox.webhook_dead_letters (finished_at);

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

    create table callbox.webhook_unaccounted (
      business_id bigint not null,
      id          uuid not null,
      found_at    timestamptz not null default clock_timestamp(),
      primary key (business_id, id)
    );
    comment on table callbox.webhook_unaccounted is 'events without due row, dead letter or successful attempt, see callbox check';

    -- The parameter of a settle is an array of these. See bench/NOTES.md, "webhook_settlement".
    create type callbox.webhook_settlement as (
      business_id      bigint,
      delivery_id      uuid,
      version          bigint,
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

    create view callbox.webhook_deliveries as
    select o.business_id, o.id, o.call_sid, o.event_type, o.direction, o.created_at,
           case when d.id is not null then 'pending' when l.id is not null then l.status else 'delivered' end as status,
           l.reason, l.operator, d.due_at, d.version, d.step, d.requeued, d.after,
           case
             when d.id is not null then d.attempt_count
             when l.id is not null then l.attempt_count
             else (select coalesce(max(a.number), 0) from callbox.webhook_attempts a
                   where a.business_id = o.business_id and a.delivery_id = o.id)
           end as attempt_count,
           case
             when d.id is not null then null
             when l.id is not null then l.finished_at
             else (select max(a.started_at + a.duration_ms * interval '1 millisecond') from callbox.webhook_attempts a
                   where a.business_id = o.business_id and a.delivery_id = o.id and a.result = 'ok')
           end as finished_at,
           o.payload is null as is_emptied
    from callbox.webhook_outbox o
    -- One look-up for each event: statistics of tables that churn would lead to a scan of all of them.
    left join lateral (
      select * from callbox.webhook_due where business_id = o.business_id and id = o.id limit 1
    ) d on true
    left join lateral (
      select * from callbox.webhook_dead_letters where business_id = o.business_id and id = o.id limit 1
    ) l on true;
    comment on view callbox.webhook_deliveries is 'each event with the status of its delivery';
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    drop view callbox.webhook_deliveries;
    drop type callbox.webhook_settlement;
    drop table callbox.webhook_unaccounted, callbox.webhook_attempts, callbox.webhook_dead_letters, callbox.webhook_due, callbox.webhook_outbox;
    drop function callbox.webhook_dead_letter_of_event();
  `)
}
