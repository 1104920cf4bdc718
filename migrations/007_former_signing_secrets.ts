import type { Knex } from 'knex'

/** The signing secret before the last rotation, which signs too until its time is over. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table callbox.businesses
      add column previous_signing_secret_sealed bytea,
      add column previous_secret_until          timestamptz;
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    alter table callbox.businesses
      drop column previous_signing_secret_sealed, drop column previous_secret_until;
  `)
}
