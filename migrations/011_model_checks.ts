import type { Knex } from 'knex'

/**
 * What the model service last said about the models that the workers use: one row for each use (`transcribe`,
 * `summary`). `known` is null when the service does not say.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.model_checks (
      use           text primary key,
      model         text not null,
      known         boolean,
      shutdown_date date,
      checked_at    timestamptz not null default clock_timestamp()
    )
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.model_checks')
}
