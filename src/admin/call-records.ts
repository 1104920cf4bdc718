import type { Knex } from 'knex'
import { type BigTable, type Listing, listNewest, whereEqual } from '../database/newest-first.ts'
import { placeTime } from '../database/time-place.ts'
import { Problem } from './problems.ts'
import type { CallAnswer, CallListQuery, ListedCall } from './schemas/call.ts'

interface StepRow {
  step: ListedCall['steps'][number]['step']
  attempts: number
  /** Seconds since the epoch. */
  started: number
  finished: number | null
  error: string | null
}

interface ListedCallRow {
  business_id: string
  call_sid: string
  direction: 'inbound' | 'outbound' | null
  from_number: string
  to_number: string
  state: ListedCall['state']
  error: string | null
  lead_id: string
  customer_name: string
  agent_name: string
  city: string | null
  service_category: string | null
  started_at: Date | null
  ended_at: Date | null
  duration_sec: number | null
  created_at: Date
  completed_at: Date | null
  failed_at: Date | null
  steps: StepRow[]
  /** Of its place in the list; see `TimePlace`. */
  place_time: string
}

interface RecordingRow {
  recording_sid: string
  state: CallAnswer['recordings'][number]['state']
  error: string | null
  source: string
  channels: number | null
  duration_sec: number | null
  /** Seconds since the epoch. */
  started: number | null
  received: number
}

interface CallRow extends ListedCallRow {
  recordings: RecordingRow[]
  transcript: string | null
  summary: string | null
  metadata: Record<string, unknown>
}

const listedColumns = [
  ...['business_id', 'call_sid', 'direction', 'from_number', 'to_number', 'state', 'error'],
  ...['city', 'service_category', 'started_at', 'ended_at', 'duration_sec', 'created_at', 'completed_at', 'failed_at'],
]

/** Steps in the order in which they began, as they are read: their numbers are seconds. */
const steps = `coalesce((
  select json_agg(
    json_build_object(
      'step', s.step, 'attempts', s.attempts, 'error', s.error,
      'started', extract(epoch from s.started_at), 'finished', extract(epoch from s.finished_at)
    ) order by s.started_at)
  from callbox.call_steps s where s.business_id = c.business_id and s.call_sid = c.call_sid
), '[]') as steps`

/** In the pipeline's order; their times as those of the steps. */
const recordings = `coalesce((
  select json_agg(
    json_build_object(
      'recording_sid', r.recording_sid, 'state', r.state, 'error', r.error, 'source', r.source,
      'channels', r.channels, 'duration_sec', r.duration_sec,
      'started', extract(epoch from r.started_at), 'received', extract(epoch from r.received_at)
    ) order by r.started_at nulls last, r.received_at, r.recording_sid)
  from callbox.call_recordings r where r.business_id = c.business_id and r.call_sid = c.call_sid
), '[]') as recordings`

/** @param from `calls`, or rows of it, as `c`. */
function calls<Row extends object>(
  knex: Knex,
  from: string | Knex.QueryBuilder = 'callbox.calls as c',
): Knex.QueryBuilder<Row, Row[]> {
  const columns = listedColumns.map((name) => `c.${name}`)
  const details = ['lead_id', 'customer_name', 'agent_name'].map((name) => `coalesce(d.${name}, '') as ${name}`)
  return knex(from)
    .leftJoin('callbox.call_details as d', 'd.call_sid', 'c.call_sid')
    .select<Row[]>(...columns, ...[...details, steps, placeTime('c.created_at')].map((sql) => knex.raw(sql)))
}

/** Of calls with one CallSid, which only a changed business makes, the newest. */
export async function findCall(knex: Knex, callSid: string): Promise<CallRow | null> {
  const [row] = await calls<CallRow>(knex)
    .select('c.transcript', 'c.summary', knex.raw(`coalesce(d.metadata, '{}') as metadata`), knex.raw(recordings))
    .where('c.call_sid', callSid)
    .orderBy('c.created_at', 'desc')
    .limit(1)
  return row ?? null
}

const callTable: BigTable<ListedCallRow> = {
  name: 'callbox.calls',
  id: 'call_sid',
  columns: listedColumns,
  placeOf: ({ place_time: createdAt, call_sid: id }) => ({ createdAt, id }),
}

/** Newest first; from the place after the query's `cursor`. A page may have fewer than its `limit`: see `listNewest`. */
export async function listCalls(knex: Knex, query: CallListQuery): Promise<Listing<ListedCallRow>> {
  const { business_id, direction, state, since, until, cursor: after, limit } = query
  // Calls that are not completed have an index by their age.
  const isByAge = state !== undefined && state !== 'completed'
  const isNarrow = !isByAge && business_id !== undefined
  const narrow = isNarrow ? { countedIn: callTable.name, from: callTable.name, equal: { business_id } } : null
  const look = { since, until, after, ordered: isByAge ? { state } : {}, narrow }
  return listNewest(knex, callTable, look, limit, (from, most) => {
    const rows = calls<ListedCallRow>(knex, from.as('c')).orderByRaw('c.created_at desc, c.call_sid desc').limit(most)
    whereEqual(rows, { 'c.business_id': business_id, 'c.direction': direction, 'c.state': state })
    return rows
  })
}

export const callNotFound = (callSid: string): Problem =>
  new Problem(404, `there is no call ${callSid}: no callback of it has been matched to a business`)

export function toListedCall(row: ListedCallRow): ListedCall {
  return {
    call_sid: row.call_sid,
    business_id: row.business_id,
    direction: row.direction,
    from: row.from_number,
    to: row.to_number,
    phone: row.direction === null ? '' : row.direction === 'inbound' ? row.from_number : row.to_number,
    state: row.state,
    error: row.error,
    steps: row.steps.map(toStep),
    lead_id: row.lead_id,
    customer_name: row.customer_name,
    agent_name: row.agent_name,
    city: row.city ?? '',
    service_category: row.service_category ?? '',
    started_at: row.started_at?.toISOString() ?? null,
    ended_at: row.ended_at?.toISOString() ?? null,
    duration_sec: row.duration_sec,
    created_at: row.created_at.toISOString(),
    completed_at: row.completed_at?.toISOString() ?? null,
    failed_at: row.failed_at?.toISOString() ?? null,
  }
}

export function toCall(row: CallRow): CallAnswer {
  const { transcript, summary, metadata } = row
  return { ...toListedCall(row), recordings: row.recordings.map(toRecording), transcript, summary, metadata }
}

const iso = (seconds: number): string => new Date(seconds * 1000).toISOString()

function toRecording({ started, received, ...row }: RecordingRow): CallAnswer['recordings'][number] {
  return { ...row, started_at: started === null ? null : iso(started), received_at: iso(received) }
}

function toStep({ started, finished, ...row }: StepRow): ListedCall['steps'][number] {
  return { ...row, started_at: iso(started), finished_at: finished === null ? null : iso(finished) }
}
