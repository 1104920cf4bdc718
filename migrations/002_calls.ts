import type { Knex } from 'knex'

/**
 * Calls, their recordings, what the platform says about them, the committed results of each pipeline step, until
 * when the model service is left alone, and which steps wait for a service.
 * `call_details` is keyed by CallSid alone: the platform may name a call before Twilio has told us whose it is.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    create table callbox.calls (
      business_id            bigint not null check (business_id > 0),
      call_sid               text not null,
      account_sid            text not null default '',
      direction              text check (direction in ('inbound', 'outbound')),
      from_number            text not null default '',
      to_number              text not null default '',
      state                  text not null default 'open'
                             check (state in ('open', 'queued', 'processing', 'completed', 'failed')),
      error                  text,
      twilio_status          text not null default '',
      started_at             timestamptz,
      ended_at               timestamptz,
      duration_sec           integer,
      transcript             text,
      summary                text,
      city                   text,
      service_category       text,
      completed_at           timestamptz,
      failed_at              timestamptz,
      revision               integer not null default 0,
      created_at             timestamptz not null default clock_timestamp(),
      primary key (business_id, call_sid)
    );
    comment on column callbox.calls.revision is
      'incremented when the pipeline has new input: a recording, or an order to reprocess the call';
    create index calls_by_sid on callbox.calls (call_sid);
    create index calls_by_age on callbox.calls (created_at, call_sid);
    create index calls_with_text on callbox.calls (completed_at) where transcript is not null;
    create index calls_not_completed on callbox.calls (state, created_at, call_sid) where state <> 'completed';

    create table callbox.call_recordings (
      business_id    bigint not null,
      call_sid       text not null,
      recording_sid  text not null,
      state          text not null check (state in ('waiting', 'transcribed', 'unusable')),
      error          text,
      url            text,
      source         text not null default '',
      channels       integer,
      started_at     timestamptz,
      duration_sec   integer,
      received_at    timestamptz not null default clock_timestamp(),
      bytes          integer,
      transcript     text,
      transcribed_at timestamptz,
      primary key (business_id, call_sid, recording_sid)
    );
    comment on column callbox.call_recordings.url is 'where it is fetched from; null: Twilio says that it has none';
    comment on column callbox.call_recordings.bytes is 'of the audio; null: not fetched yet';
    create index call_recordings_with_text on callbox.call_recordings (transcribed_at) where transcript is not null;

    create table callbox.call_details (
      call_sid      text primary key,
      lead_id       text not null default '',
      customer_name text not null default '',
      agent_name    text not null default '',
      metadata      json not null default '{}',
      updated_at    timestamptz not null default clock_timestamp()
    );

    create table callbox.call_steps (
      business_id bigint not null,
      call_sid    text not null,
      step        text not null check (step in ('audio', 'transcript', 'summary', 'extraction', 'completion')),
      attempts    integer not null default 0,
      started_at  timestamptz not null default clock_timestamp(),
      finished_at timestamptz,
      error       text,
      result      json,
      revision    integer not null default 0,
      primary key (business_id, call_sid, step)
    );
    comment on column callbox.call_steps.revision is 'the revision of the call that the step worked from; results of an earlier one are out of date';
    create index call_steps_with_result on callbox.call_steps (finished_at) where result is not null;

    create table callbox.model_service_holds (
      service    text primary key,
      held_since timestamptz not null default clock_timestamp(),
      held_until timestamptz not null
    );

    create table callbox.pipeline_pauses (
      step       text primary key check (step in ('audio', 'transcript', 'summary', 'extraction')),
      error      text not null,
      since      timestamptz not null default clock_timestamp(),
      refused_at timestamptz not null default clock_timestamp()
    );
    comment on table callbox.pipeline_pauses is
      'steps that a service refuses whatever the call; calls wait, and a worker probes until one is answered';
    comment on column callbox.pipeline_pauses.refused_at is 'the last time; an answer to a later request ends the pause';

    comment on table callbox.model_service_holds is 'until when no worker calls a model service, at its request';
    comment on column callbox.model_service_holds.service is 'a hash of its address and key';
  `)
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(
    'drop table callbox.pipeline_pauses, callbox.model_service_holds, callbox.call_steps, callbox.call_details, callbox.call_recordings, callbox.calls',
  )
}
