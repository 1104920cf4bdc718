import type { Knex } from 'knex'

/**
 * A recording of a call. `waiting`: it is still to be transcribed; that of a completed call came after the completion.
 * `unusable`: Twilio has none, or it cannot be fetched or transcribed.
 */
export type RecordingState = 'waiting' | 'transcribed' | 'unusable'

export interface CallKey {
  businessId: string
  callSid: string
}

/** What a callback says of a recording. */
export interface NewRecording {
  recordingSid: string
  /** `null`: Twilio has no audio; `error` says why. */
  url: string | null
  error: string | null
  source: string
  channels: number | null
  startedAt: Date | null
  durationSec: number | null
}

/** A recording that can be used, as the pipeline works on it. */
export interface UsableRecording {
  recordingSid: string
  url: string
  durationSec: number | null
  /** The size of its audio; `null`: it has not been fetched yet. */
  bytes: number | null
  /** `null`: it has not been transcribed yet. */
  transcript: string | null
}

/** A repeated callback changes nothing; audio that arrives after "there is none" counts. */
const storeRecordingStatement = `
  insert into callbox.call_recordings as r
    (business_id, call_sid, recording_sid, state, error, url, source, channels, started_at, duration_sec)
  values (:businessId, :callSid, :recordingSid, case when :url::text is null then 'unusable' else 'waiting' end,
    :error, :url, :source, :channels, :startedAt, :durationSec)
  on conflict (business_id, call_sid, recording_sid) do update
  set state = excluded.state, error = excluded.error, url = excluded.url, source = excluded.source,
    channels = excluded.channels, started_at = excluded.started_at, duration_sec = excluded.duration_sec,
    received_at = excluded.received_at
  where r.url is null and excluded.url is not null
  returning r.recording_sid`

/** Stores a recording of a call that exists. Hold `lockCall`. @returns whether it is new, or usable only now. */
export async function storeRecording(trx: Knex.Transaction, call: CallKey, recording: NewRecording): Promise<boolean> {
  const { rows } = await trx.raw<{ rows: unknown[] }>(storeRecordingStatement, { ...call, ...recording })
  return rows.length > 0
}

export async function hasUsableRecording(trx: Knex.Transaction, call: CallKey): Promise<boolean> {
  const row = await trx('callbox.call_recordings')
    .where(keyOf(call))
    .whereNot({ state: 'unusable' })
    .first('recording_sid')
  return row !== undefined
}

/** Ordered by start; those without a start from Twilio follow in the order of their callbacks. */
const readUsableRecordings = `
  select recording_sid as "recordingSid", url, duration_sec as "durationSec", bytes, transcript
  from callbox.call_recordings
  where business_id = :businessId and call_sid = :callSid and state <> 'unusable'
  order by started_at nulls last, received_at, recording_sid`

export async function usableRecordings(knex: Knex, { businessId, callSid }: CallKey): Promise<UsableRecording[]> {
  const { rows } = await knex.raw<{ rows: UsableRecording[] }>(readUsableRecordings, { businessId, callSid })
  return rows
}

/** Why the call has no recording that can be used; `null`: it has none at all. */
export async function lastRecordingError(knex: Knex, call: CallKey): Promise<string | null> {
  const row = await knex('callbox.call_recordings')
    .where(keyOf(call))
    .whereNotNull('error')
    .orderBy('received_at', 'desc')
    .first<{ error: string } | undefined>('error')
  return row?.error ?? null
}

export async function storeRecordingBytes(
  knex: Knex,
  call: CallKey,
  recordingSid: string,
  bytes: number,
): Promise<void> {
  await knex('callbox.call_recordings')
    .where({ ...keyOf(call), recording_sid: recordingSid })
    .update({ bytes })
}

const storeTranscriptStatement = `
  update callbox.call_recordings
  set transcript = coalesce(transcript, :transcript), state = 'transcribed', error = null,
    transcribed_at = coalesce(transcribed_at, clock_timestamp())
  where business_id = :businessId and call_sid = :callSid and recording_sid = :recordingSid
  returning transcript`

/** Stores the transcript of a recording. @returns the stored one: that of the first run, if two overlap. */
export async function storeTranscript(
  knex: Knex,
  { businessId, callSid }: CallKey,
  recordingSid: string,
  transcript: string,
): Promise<string> {
  const given = { businessId, callSid, recordingSid, transcript }
  const { rows } = await knex.raw<{ rows: { transcript: string }[] }>(storeTranscriptStatement, given)
  return rows[0]?.transcript ?? transcript
}

export async function markUnusable(
  trx: Knex.Transaction,
  call: CallKey,
  recordingSid: string,
  error: string,
): Promise<void> {
  await trx('callbox.call_recordings')
    .where({ ...keyOf(call), recording_sid: recordingSid, state: 'waiting' })
    .update({ state: 'unusable', error })
}

/**
 * Resets recordings that were unusable or whose transcript retention removed; transcribed ones stay.
 *
 * @returns how many recordings that is.
 */
export async function reopenRecordings(trx: Knex.Transaction, call: CallKey): Promise<number> {
  return trx('callbox.call_recordings')
    .where(keyOf(call))
    .whereNot({ state: 'waiting' })
    .whereNotNull('url')
    .whereNull('transcript')
    .update({ state: 'waiting', error: null, transcribed_at: null })
}

/** A call's times according to its recordings, where Twilio did not report them for the call. */
export interface RecordedTimes {
  recording_started_at: Date | null
  recording_duration_sec: number | null
  /** When the last of them was stored. */
  recorded_at: Date
}

const readRecordedTimes = `
  select min(started_at) as recording_started_at,
    coalesce(
      extract(epoch from max(started_at + make_interval(secs => duration_sec)) - min(started_at))::integer,
      sum(duration_sec)::integer) as recording_duration_sec,
    coalesce(max(received_at), clock_timestamp()) as recorded_at
  from callbox.call_recordings
  where business_id = :businessId and call_sid = :callSid and state <> 'unusable'`

export async function recordedTimes(knex: Knex, { businessId, callSid }: CallKey): Promise<RecordedTimes> {
  const { rows } = await knex.raw<{ rows: RecordedTimes[] }>(readRecordedTimes, { businessId, callSid })
  const [times] = rows
  if (times === undefined) throw new Error('an aggregate without a row')
  return times
}

const keyOf = (call: CallKey) => ({ business_id: call.businessId, call_sid: call.callSid })
