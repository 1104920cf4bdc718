import type pg from 'pg'
import type { Lease } from '../../src/dispatcher/lease/lease.ts'
import { Slots, slotCount } from '../../src/dispatcher/lease/slots.ts'
import { Held } from '../../src/dispatcher/reading/held.ts'
import type { DueRow } from '../../src/dispatcher/reading/read-due.ts'
import { ReadSequence } from '../../src/dispatcher/reading/read-sequence.ts'
import { Reader } from '../../src/dispatcher/reading/reader.ts'
import type { HealthKeeper } from '../../src/dispatcher/routes/health-keeper.ts'
import { RouteQueues } from '../../src/dispatcher/routes/route-queues.ts'
import type { Endpoints } from '../../src/dispatcher/sending/endpoints.ts'
import { Window } from '../../src/dispatcher/window.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { rawRow } from './due-delivery.ts'

export interface ReadAsked {
  /** `null`: a sweep. */
  businesses: readonly string[] | null
  /** Where a sweep continues. */
  after: number
  /** Rows of one route at most. */
  allowance: number
  /** Rows in all at most. */
  most: number
  /** Where it begins on routes that were read before, in microseconds. */
  cursors: Record<string, number>
  /** Bytes of payload at most. */
  bytes: number
}

/** A cursor after all rows: nothing of the route is read. */
export const isLeftOut = (cursor: number | undefined): boolean => cursor !== undefined && cursor > 8e15

/**
 * A reader of first attempts and what it fills, without a database: the test sees which reads it asks for.
 *
 * @param window POSTs in flight, and bytes in memory.
 * @param onRead called when what a read brought is in the queues.
 */
export function readerStand(
  answer: (asked: ReadAsked) => DueRow[],
  { posts = 256, memoryBytes = 64 * 1024 * 1024, onRead = (): void => undefined } = {},
) {
  const reads = new ReadSequence()
  const slots = new Slots(reads)
  slots.gain(Array.from({ length: slotCount }, (_, slot) => slot))
  const held = new Held(slots, reads)
  const window = new Window(posts, memoryBytes)
  const queues = new RouteQueues({ limitsOf: () => null, maxOnProbation: 1_000, onReady: () => undefined })
  const lease: Partial<Lease> = { maySend: () => true }
  const health: Partial<HealthKeeper> = { adopt: () => undefined }
  const endpoints: Partial<Endpoints> = { refresh: async () => false }
  type Values = [unknown, number, string, number, string[] | string, number, string, number]
  const query = async ({ values }: { values: Values }) => {
    await new Promise(setImmediate)
    const [, allowance, cursors, most, scope, , , bytes] = values
    const isSweep = !Array.isArray(scope)
    const rows = answer({
      businesses: isSweep ? null : scope,
      after: isSweep ? Number(scope) : 0,
      allowance,
      most,
      cursors: JSON.parse(cursors),
      bytes,
    })
    return { rows: rows.map(rawRow) }
  }
  const reader = new Reader({
    kind: 'first',
    pool: { query } as Partial<pg.Pool> as pg.Pool,
    lease: lease as Lease,
    slots,
    reads,
    held,
    queues,
    endpoints: endpoints as Endpoints,
    health: health as HealthKeeper,
    window,
    log: createLogger('silent', 'dispatcher'),
    onRead,
  })
  /** Sends one and has it settled. @returns its business; `null`: nothing is ready. */
  const sendOne = (): string | null => {
    const delivery = queues.next(0)
    if (delivery === null) return null
    window.send()
    queues.answered(delivery)
    held.settled([delivery])
    window.settle([delivery])
    return delivery.route.businessId
  }
  return { reader, queues, window, sendOne }
}
