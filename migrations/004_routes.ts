import type { Knex } from 'knex'

/**
 * Routes, and the part of their health that must outlive a dispatcher: whether a route is parked or its breaker open,
 * why, and since when. Every change increments `health_version`, so that a dispatcher can tell a newer state from its own.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.routes (
      business_id    bigint not null check (business_id > 0),
      direction      text not null check (direction in ('inbound', 'outbound')),
      slot           smallint not null generated always as (business_id % 64) stored,
      state          text not null default 'active' check (state in ('active', 'failing', 'parked')),
      state_reason   text,
      state_since    timestamptz,
      failing_since  timestamptz,
      probes         integer not null default 0,
      probe_at       timestamptz,
      held_until     timestamptz,
      health_version integer not null default 0,
      primary key (business_id, direction)
    );
    create index routes_by_slot on callbox.routes (slot);
    create index routes_in_trouble on callbox.routes (slot, business_id, direction) where state <> 'active';
    comment on column callbox.routes.failing_since is 'the first failure since the last success';
    comment on column callbox.routes.probe_at is 'when an open breaker lets the next delivery through';
    comment on column callbox.routes.held_until is 'a Retry-After of the endpoint: nothing is sent before it';
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.routes')
}
