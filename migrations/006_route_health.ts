import type { Knex } from 'knex'

/**
 * What of a route must outlive its dispatcher: whether it is parked or its breaker open, why and since when.
 * `health_version` is counted up by every change, so that a dispatcher tells a newer state from one it made itself.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table callbox.routes
      add column state          text not null default 'active' check (state in ('active', 'failing', 'parked')),
      add column state_reason   text,
      add column state_since    timestamptz,
      add column failing_since  timestamptz,
      add column probes         integer not null default 0,
      add column probe_at       timestamptz,
      add column health_version integer not null default 0;
    comment on column callbox.routes.failing_since is 'the first failure since the last success';
    comment on column callbox.routes.probe_at is 'when an open breaker lets the next delivery through';
    create index routes_in_trouble on callbox.routes (slot, business_id, direction) where state <> 'active';

    -- First attempts and retries are read apart, so that a backlog of retries does not hide a new call. A boolean
    -- expression would not do: PostgreSQL simplifies its comparison with false, and then does not know it again.
    create index webhook_outbox_due_by_lane on callbox.webhook_outbox (business_id, direction, least(attempt_count, 1), due_at)
      where status = 'pending';
    drop index callbox.webhook_outbox_due;
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    create index webhook_outbox_due on callbox.webhook_outbox (business_id, direction, due_at) where status = 'pending';
    drop index callbox.webhook_outbox_due_by_lane;
    drop index callbox.routes_in_trouble;
    alter table callbox.routes
      drop column state, drop column state_reason, drop column state_since, drop column failing_since,
      drop column probes, drop column probe_at, drop column health_version;
  `)
}
