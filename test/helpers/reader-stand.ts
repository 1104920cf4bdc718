import type pg from 'pg'
import type { Endpoints } from '../../src/dispatcher/endpoints.ts'
import { HeldDeliveries } from '../../src/dispatcher/held-deliveries.ts'
import type { DueRow } from '../../src/dispatcher/intake.ts'
import type { Lease } from '../../src/dispatcher/lease.ts'
import { ReadBudget } from '../../src/dispatcher/read-budget.ts'
import { Reader } from '../../src/dispatcher/reader.ts'
import type { RouteHealth } from '../../src/dispatcher/route-health.ts'
import { RouteQueues } from '../../src/dispatcher/route-queues.ts'
import { createLogger } from '../../src/telemetry/logger.ts'

export interface ReadAsked {
  /** `null`: a sweep. */
  businesses: readonly string[] | null
  /** Where a sweep goes on. */
  after: number
  /** Rows of one route at the most. */
  allowance: number
  /** Rows in all at the most. */
  most: number
  /** Where it begins on routes that were read before. */
  cursors: Record<string, string>
}

/** A due row of an inbound route. @param id counts up. */
export const dueRow = (businessId: number, id: number): DueRow => ({
  ...{
    business_id: String(businessId),
    direction: 'inbound',
    revision: 1,
    state: 'active',
    health_version: 0,
    probes: 0,
  },
  ...{ failing_for_ms: null, id: String(id), call_sid: 'CA1', event_type: 'call.completed', version: 0 },
  ...{ attempt_count: 0, step: 0, requeued: false, created_ms: 0, payload: Buffer.from('{}') },
  due_text: `2026-01-01 00:00:00.${String(id).padStart(6, '0')}`,
})

/**
 * A reader of first attempts and what it fills, without a database: what is told is which reads it asks for.
 *
 * @param payloadBytes what the payloads before were like.
 * @param onRead called when what a read brought is in the queues.
 */
export function readerStand(
  answer: (asked: ReadAsked) => DueRow[],
  { payloadBytes = 1_700, onRead = (): void => undefined } = {},
) {
  const held = new HeldDeliveries()
  const queues = new RouteQueues({ limitsOf: () => null, mostDoubtful: 1_000, onReady: () => undefined })
  const budget = new ReadBudget(256)
  budget.brought(1_000, 1_000 * payloadBytes)
  const lease: Partial<Lease> = { owned: new Set(Array.from({ length: 64 }, (_, slot) => slot)), maySend: () => true }
  const health: Partial<RouteHealth> = { adopt: () => undefined }
  const endpoints: Partial<Endpoints> = { refresh: async () => false }
  const query = async ({ values }: { values: [unknown, number, string, number, string[] | string] }) => {
    await new Promise(setImmediate)
    const [, allowance, cursors, most, scope] = values
    const isSweep = !Array.isArray(scope)
    const asked = { businesses: isSweep ? null : scope, after: isSweep ? Number(scope) : 0 }
    return { rows: answer({ ...asked, allowance, most, cursors: JSON.parse(cursors) }) }
  }
  const reader = new Reader({
    ...{ kind: 'first', held, queues, budget, draining: new Set<number>(), onRead },
    ...{ lease: lease as Lease, health: health as RouteHealth, endpoints: endpoints as Endpoints },
    ...{ pool: { query } as Partial<pg.Pool> as pg.Pool, log: createLogger('silent', 'dispatcher') },
  })
  /** Sends one and has it settled. @returns its business; `null`: nothing is ready. */
  const sendOne = (): string | null => {
    const turn = queues.next(0)
    if (turn === null) return null
    queues.answered(turn)
    held.settled([turn.delivery])
    return turn.route.businessId
  }
  return { reader, queues, sendOne }
}
