import type { Knex } from 'knex'
import { fullTime, placeTime, type TimePlace } from '../database/time-place.ts'
import type { DeliveryStatus } from '../outbox/deliveries.ts'
import { type Walk, walkStart } from '../outbox/delivery-walk.ts'
import { Problem } from './problems.ts'
import type { RequeueAnswer, RequeueFilter, RequeueListQuery } from './schemas/requeue.ts'

/** Counters are `bigint`, which pg gives as text. */
type Counters = Record<'total' | 'examined' | 'matched' | 'requeued' | 'already_due' | 'payload_gone', string>

export interface RequeueRow extends Counters {
  id: string
  operator: string
  filter: RequeueFilter
  until: Date
  state: RequeueAnswer['state']
  total_is_exact: boolean
  created_at: Date
  finished_at: Date | null
  error: string | null
  /** Of its {@link TimePlace}. */
  place_time: string
}

export const requeueNotFound = (id: string): Problem => new Problem(404, `there is no requeue ${id}`)

function requeues(knex: Knex): Knex.QueryBuilder<object, RequeueRow[]> {
  return knex('callbox.requeues').select<RequeueRow[]>('*', knex.raw(placeTime('created_at')))
}

export async function findRequeue(knex: Knex, id: string): Promise<RequeueRow | null> {
  const [row] = await requeues(knex).where({ id })
  return row ?? null
}

/** Newest first; from the place after `cursor`. @param limit in place of the query's own. */
export async function listRequeues(knex: Knex, query: RequeueListQuery, limit: number): Promise<RequeueRow[]> {
  const { state, cursor } = query
  const rows = requeues(knex).orderByRaw('created_at desc, id desc').limit(limit)
  if (state !== undefined) rows.where({ state })
  if (cursor) rows.whereRaw('(created_at, id) < (?::timestamptz, ?::uuid)', [cursor.createdAt, cursor.id])
  return rows
}

/** Finished, but not delivered: what a filter without a status means. */
const undelivered: readonly DeliveryStatus[] = ['failed', 'skipped']

/** @param until RFC 3339 with microseconds. */
export function toWalk({ status, until: _, ...filter }: RequeueFilter, until: string): Walk {
  return { ...filter, until, statuses: status === undefined ? undelivered : [status] }
}

/** Takes the requeue whose turn it is and that no other process is at, until the transaction ends; `null`: none. */
export async function takeRunning(trx: Knex.Transaction): Promise<{ id: string; walk: Walk; from: TimePlace } | null> {
  const { rows } = await trx.raw<{
    rows: { id: string; filter: RequeueFilter; until: string; cursor_at: string | null; cursor_id: string | null }[]
  }>(
    `select id, filter, ${fullTime('until')} as until, ${fullTime('cursor_at')} as cursor_at, cursor_id
     from callbox.requeues
     where state = 'running'
     order by worked_at nulls first
     limit 1
     for update skip locked`,
  )
  const [row] = rows
  if (row === undefined) return null
  const walk = toWalk(row.filter, row.until)
  const { cursor_at: createdAt, cursor_id: id } = row
  return { id: row.id, walk, from: createdAt === null || id === null ? walkStart(walk) : { createdAt, id } }
}

export function toRequeue(row: RequeueRow): RequeueAnswer {
  return {
    id: row.id,
    state: row.state,
    operator: row.operator,
    filter: row.filter,
    until: row.until.toISOString(),
    total: Number(row.total),
    total_is_exact: row.total_is_exact,
    examined: Number(row.examined),
    matched: Number(row.matched),
    requeued: Number(row.requeued),
    already_due: Number(row.already_due),
    payload_gone: Number(row.payload_gone),
    created_at: row.created_at.toISOString(),
    finished_at: row.finished_at?.toISOString() ?? null,
    error: row.error,
  }
}
