import type { Knex } from 'knex'

/**
 * What operators changed, by the name of their token. A row is written in the transaction of its change. `detail` has
 * the names of changed fields and harmless values: no secret, no phone number, no URL.
 * The platform's word on a call is such a change too, so there may be as many rows as calls.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.audit (
      id          bigint generated always as identity,
      at          timestamptz not null default clock_timestamp(),
      operator    text not null,
      action      text not null,
      business_id bigint,
      direction   text,
      call_sid    text,
      delivery_id uuid,
      requeue_id  uuid,
      detail      json not null default '{}',
      primary key (at, id)
    );
    create index audit_by_operator on callbox.audit (operator, at, id);
    create index audit_by_action on callbox.audit (action, at, id);
    create index audit_by_business on callbox.audit (business_id, at, id) where business_id is not null;
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.audit')
}
