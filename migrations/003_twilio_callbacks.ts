import type { Knex } from 'knex'

/**
 * Every signed callback as it came. `body` and `query` are the raw text; the other columns are what matching looks up.
 * `new` waits for matching (again not before `match_at`), `unmatched` for a business that fits.
 * `fingerprint` is a hash of what Twilio signed, so a repeated callback is one row. `from_number` and `to_number` are the
 * call's, E.164 where they have a number, from the callback itself or from Twilio's Call resource; `parent_call_sid` is
 * the call that this leg belongs to, likewise. `call_legs` has what Twilio said of each leg, for any business.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.twilio_callbacks (
      id              bigint generated always as identity primary key,
      kind            text not null check (kind in ('call_status', 'recording_status')),
      call_sid        text not null,
      parent_call_sid text,
      url_business_id bigint,
      from_number     text not null default '',
      to_number       text not null default '',
      query           text not null,
      body            text not null,
      fingerprint     bytea not null unique default uuid_send(gen_random_uuid()),
      state           text not null default 'new' check (state in ('new', 'matched', 'unmatched')),
      reason          text,
      business_id     bigint,
      tries           integer not null default 0,
      received_at     timestamptz not null default clock_timestamp(),
      match_at        timestamptz not null default clock_timestamp(),
      matched_at      timestamptz
    );
    create index twilio_callbacks_new on callbox.twilio_callbacks (match_at) where state = 'new';
    create index twilio_callbacks_unmatched on callbox.twilio_callbacks (id) where state = 'unmatched';
    create index twilio_callbacks_unmatched_from on callbox.twilio_callbacks (from_number) where state = 'unmatched';
    create index twilio_callbacks_unmatched_to on callbox.twilio_callbacks (to_number) where state = 'unmatched';
    create index twilio_callbacks_unmatched_url on callbox.twilio_callbacks (url_business_id) where state = 'unmatched';
    create index twilio_callbacks_by_call on callbox.twilio_callbacks (call_sid);
    create index twilio_callbacks_by_parent on callbox.twilio_callbacks (parent_call_sid) where parent_call_sid is not null;
    create index twilio_callbacks_by_age on callbox.twilio_callbacks (received_at) where state = 'matched';

    create table callbox.call_legs (
      call_sid        text primary key,
      parent_call_sid text,
      direction       text check (direction in ('inbound', 'outbound')),
      from_address    text not null default '',
      to_address      text not null default '',
      twilio_status   text not null default '',
      ended_at        timestamptz,
      duration_sec    integer,
      legs_known      boolean not null default false,
      created_at      timestamptz not null default clock_timestamp()
    );
    create index call_legs_by_parent on callbox.call_legs (parent_call_sid) where parent_call_sid is not null;
    create index call_legs_by_age on callbox.call_legs (created_at);
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('drop table callbox.call_legs, callbox.twilio_callbacks')
}
