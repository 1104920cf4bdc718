import type { Knex } from 'knex'

/** Tenants, their phone numbers, and the one-row facts of this installation. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.installation (
      key   text primary key,
      value text not null
    );

    create table callbox.businesses (
      business_id            bigint primary key check (business_id > 0),
      name                   text not null default '',
      inbound_webhook_url    text,
      outbound_webhook_url   text,
      generic_webhook_url    text,
      headers_sealed         bytea,
      signing_secret_sealed  bytea not null,
      previous_signing_secret_sealed bytea,
      previous_secret_until          timestamptz,
      language               text not null default '',
      rejected_language      text not null default '',
      service_categories     text[] not null default '{}',
      max_concurrency        integer check (max_concurrency > 0),
      rate_per_second        numeric check (rate_per_second > 0),
      revision               integer not null default 0,
      created_at             timestamptz not null default clock_timestamp(),
      updated_at             timestamptz not null default clock_timestamp()
    );

    comment on column callbox.businesses.revision is 'incremented by every change, so that a dispatcher loads it again';
    comment on column callbox.businesses.previous_signing_secret_sealed is
      'the secret before the last rotation, which also signs until previous_secret_until';
    comment on column callbox.businesses.rejected_language is 'a language that the transcription service rejected as a hint';

    create table callbox.phone_numbers (
      phone_number text primary key,
      business_id  bigint not null
    );
    create index phone_numbers_business on callbox.phone_numbers (business_id);
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.phone_numbers, callbox.businesses, callbox.installation')
}
