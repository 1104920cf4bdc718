import type { Delivery } from '../../src/dispatcher/delivery.ts'
import type { DueRow } from '../../src/dispatcher/reading/read-due.ts'
import { type LaneKind, Route } from '../../src/dispatcher/routes/route.ts'

/** A delivery in memory, of business 1 unless a route is given. */
export function dueDelivery(over: Partial<Delivery> = {}): Delivery {
  const payload = Buffer.from('{}')
  return {
    id: 'a',
    route: new Route('1', 'inbound'),
    kind: 'first' satisfies LaneKind,
    callSid: 'CA1',
    eventType: 'call.completed',
    version: 0,
    attemptCount: 0,
    step: 0,
    requeued: false,
    createdMs: 0,
    bytes: payload.length,
    payload,
    ...over,
  }
}

/** A row as a read brings it, of an inbound route. @param id counts up, and so does the time at which it is due. */
export function dueRow(businessId: number, id: number, over: Partial<DueRow> = {}): DueRow {
  const payload = over.payload ?? Buffer.from('{}')
  return {
    businessId: String(businessId),
    direction: 'inbound',
    revision: 1,
    state: 'active',
    healthVersion: 0,
    probes: 0,
    failingForMs: null,
    id: String(id),
    version: 0,
    attemptCount: 0,
    step: 0,
    requeued: false,
    dueUs: dueUsOf(id),
    bytes: payload.length,
    createdMs: 0,
    eventType: 'call.completed',
    callSid: 'CA1',
    payload,
    ...over,
  }
}

export const dueUsOf = (id: number): number => 1_767_225_600_000_000 + id

/** The row as the statement returns it. */
export function rawRow(row: DueRow): { fields: string; payload: Buffer | null } {
  const fields = [
    ...[row.businessId, row.direction, row.revision ?? -1, row.state, row.healthVersion, row.probes],
    ...[row.failingForMs ?? -1, row.id, row.version, row.attemptCount, row.step, row.requeued ? 1 : 0],
    ...[row.dueUs, row.bytes, row.createdMs, row.eventType, row.callSid],
  ]
  return { fields: fields.join('|'), payload: row.payload }
}
