import type { Knex } from 'knex'

/** Who sends what: living dispatchers and the 64 slots that they share. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.dispatchers (
      id         uuid primary key,
      beat       bigint not null default 0,
      leaving    boolean not null default false,
      host       text not null default '',
      started_at timestamptz not null default clock_timestamp()
    ) with (fillfactor = 50);

    create table callbox.slots (
      slot  smallint primary key check (slot between 0 and 63),
      owner uuid
    ) with (fillfactor = 50);

    insert into callbox.slots (slot) select generate_series(0, 63);
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.slots, callbox.dispatchers')
}
