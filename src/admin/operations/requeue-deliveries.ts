import type { Knex } from 'knex'
import { fullTime } from '../../database/time-place.ts'
import { countDeliveries, type DeliveryCount } from '../../outbox/count-deliveries.ts'
import { deliveriesOf } from '../../outbox/deliveries.ts'
import { recordAct } from '../audit-records.ts'
import { toDelivery } from '../delivery-records.ts'
import { Problem } from '../problems.ts'
import { findRequeue, type RequeueRow, requeueNotFound, toRequeue, toWalk } from '../requeue-records.ts'
import type { AuditAction } from '../schemas/audit.ts'
import type { RequeueAnswer, RequeueDryRun, RequeueFilter } from '../schemas/requeue.ts'
import type { OperationParts } from './operation-parts.ts'

/** What a count may cost before an estimate has to do. */
const countBounds = { most: 100_000, withinMs: 2_000 }

/** Says what {@link startRequeue} would requeue, and changes nothing. */
export async function tryRequeue(
  { knex }: Pick<OperationParts, 'knex'>,
  filter: RequeueFilter,
): Promise<RequeueDryRun> {
  const { count, isExact, oldest } = await countMatching(knex, filter, await frozenUntil(knex, filter))
  const rows = await deliveriesOf(knex, oldest)
  return { dry_run: true, total: count, total_is_exact: isExact, examples: rows.map(toDelivery) }
}

/** Orders that all deliveries that match, and that were enqueued by now, are requeued: see `requeue-runner.ts`. */
export async function startRequeue(
  { knex, log }: Pick<OperationParts, 'knex' | 'log'>,
  operator: string,
  filter: RequeueFilter,
): Promise<RequeueAnswer> {
  const until = await frozenUntil(knex, filter)
  const { count: total, isExact } = await countMatching(knex, filter, until)
  const row = await knex.transaction(async (trx) => {
    const [{ id } = { id: '' }] = await trx('callbox.requeues')
      .insert({ operator, filter: JSON.stringify(filter), until, total, total_is_exact: isExact })
      .returning<{ id: string }[]>('id')
    await recordAct(trx, { operator, action: 'requeue.started', ...target(id, filter), detail: { filter, total } })
    return await findRequeue(trx, id)
  })
  if (row === null) throw new Error('a requeue is gone within its own order')
  log.info({ event: 'admin.requeue_started', operator, requeue_id: row.id, total }, 'a bulk requeue was ordered')
  return toRequeue(row)
}

/** It ends after the batch under way. @throws {Problem} 404, or 409 when it has ended by itself. */
export async function stopRequeue(
  parts: Pick<OperationParts, 'knex' | 'log'>,
  operator: string,
  id: string,
): Promise<RequeueAnswer> {
  return turn(parts, operator, id, {
    ...{ from: ['running'], to: 'stopped', action: 'requeue.stopped', event: 'admin.requeue_stopped' },
    said: 'a bulk requeue was stopped',
  })
}

/** It goes on where it was. @throws {Problem} 404, or 409 when it is done. */
export async function resumeRequeue(
  parts: Pick<OperationParts, 'knex' | 'log'>,
  operator: string,
  id: string,
): Promise<RequeueAnswer> {
  return turn(parts, operator, id, {
    ...{ from: ['stopped', 'failed'], to: 'running', action: 'requeue.resumed', event: 'admin.requeue_resumed' },
    said: 'a bulk requeue was resumed',
  })
}

interface Turn {
  from: RequeueAnswer['state'][]
  to: 'running' | 'stopped'
  action: AuditAction
  event: string
  said: string
}

async function turn(
  { knex, log }: Pick<OperationParts, 'knex' | 'log'>,
  operator: string,
  id: string,
  { from, to, action, event, said }: Turn,
): Promise<RequeueAnswer> {
  const { row, changed } = await knex.transaction(async (trx) => {
    const changed = await trx('callbox.requeues')
      .where({ id })
      .whereIn('state', from)
      .update({ state: to, finished_at: null, error: null })
    const row = await findRequeue(trx, id)
    if (row === null) throw requeueNotFound(id)
    if (changed > 0) {
      const detail = { requeued: Number(row.requeued) }
      await recordAct(trx, { operator, action, ...target(id, row.filter), detail })
    }
    return { row, changed: changed > 0 }
  })
  refuseIfEnded(row, to)
  log.info({ event, operator, requeue_id: id, changed }, changed ? said : `a bulk requeue was ${to} already`)
  return toRequeue(row)
}

function refuseIfEnded({ id, state }: RequeueRow, to: Turn['to']): void {
  if (state === 'done') throw new Problem(409, `requeue ${id} is done`)
  if (state === 'failed' && to === 'stopped') throw new Problem(409, `requeue ${id} has failed; it can be resumed`)
}

const target = (requeueId: string, { business_id: businessId, direction, call_sid: callSid }: RequeueFilter) => ({
  ...{ requeueId, businessId: businessId ?? null, direction: direction ?? null },
  ...(callSid === undefined ? {} : { callSid }),
})

const countMatching = (knex: Knex, filter: RequeueFilter, until: string): Promise<DeliveryCount> =>
  countDeliveries(knex, toWalk(filter, until), countBounds)

/** What is enqueued from now on is left out: a walk that met its own future would not end. */
async function frozenUntil(knex: Knex, { until }: RequeueFilter): Promise<string> {
  const { rows } = await knex.raw<{ rows: { until: string }[] }>(
    `select ${fullTime('least(?::timestamptz, clock_timestamp())')} as until`,
    [until ?? null],
  )
  const [row] = rows
  if (row === undefined) throw new Error('the database did not tell the time')
  return row.until
}
