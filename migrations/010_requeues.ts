import type { Knex } from 'knex'

/**
 * Orders to requeue all deliveries that match a filter. The walk goes from the oldest to those enqueued before
 * `until`; `cursor_at` and `cursor_id` are the place of the last one that it has looked at.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.requeues (
      id             uuid primary key default gen_random_uuid(),
      operator       text not null,
      filter         json not null,
      until          timestamptz not null,
      state          text not null default 'running' check (state in ('running', 'stopped', 'done', 'failed')),
      total          bigint not null,
      total_is_exact boolean not null,
      examined       bigint not null default 0,
      matched        bigint not null default 0,
      requeued       bigint not null default 0,
      already_due    bigint not null default 0,
      payload_gone   bigint not null default 0,
      cursor_at      timestamptz,
      cursor_id      uuid,
      created_at     timestamptz not null default clock_timestamp(),
      worked_at      timestamptz,
      finished_at    timestamptz,
      error          text
    );
    comment on column callbox.requeues.worked_at is 'when its last batch ran; running requeues take turns by it';
    create index requeues_running on callbox.requeues (worked_at nulls first) where state = 'running';
    create index requeues_by_age on callbox.requeues (created_at, id);
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.requeues')
}
