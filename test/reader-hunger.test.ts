import type pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import type { Endpoints } from '../src/dispatcher/endpoints.ts'
import { HeldDeliveries } from '../src/dispatcher/held-deliveries.ts'
import type { DueRow } from '../src/dispatcher/intake.ts'
import type { Lease } from '../src/dispatcher/lease.ts'
import { ReadBudget } from '../src/dispatcher/read-budget.ts'
import { Reader } from '../src/dispatcher/reader.ts'
import type { RouteHealth } from '../src/dispatcher/route-health.ts'
import { RouteQueues } from '../src/dispatcher/route-queues.ts'
import { createLogger } from '../src/telemetry/logger.ts'

const row = (id: number): DueRow => ({
  ...{ business_id: '1', direction: 'inbound', revision: 1, state: 'active', health_version: 0, probes: 0 },
  ...{ failing_for_ms: null, id: String(id), call_sid: 'CA1', event_type: 'call.completed', version: 0 },
  ...{ attempt_count: 0, step: 0, requeued: false, created_ms: 0, payload: Buffer.from('{}') },
  due_text: `2026-01-01 00:00:00.${String(id).padStart(6, '0')}`,
})

// The database is a stand-in: what is told is which reads the reader asks for when each answer finds new hints waiting.
test.each([1_700, 65_536])(
  'a backlog is read on while hints for others come with every read; payloads of %d bytes',
  async (bytes) => {
    const held = new HeldDeliveries()
    const queues = new RouteQueues({ limitsOf: () => null, mostDoubtful: 1_000, onReady: () => undefined })
    const lease = { owned: new Set(Array.from({ length: 64 }, (_, slot) => slot)), maySend: () => true }
    const health = { adopt: () => undefined }
    const endpoints = { refresh: async () => false }
    const budget = new ReadBudget(256)
    budget.brought(1_000, 1_000 * bytes)
    let [rows, others, hintedReads, ofBacklog] = [0, 1, 0, 0]
    const { promise, resolve } = Promise.withResolvers<void>()
    const query = async ({
      values: [, allowance, , , scope],
    }: {
      values: [unknown, number, unknown, unknown, unknown]
    }) => {
      await new Promise(setImmediate)
      const isBacklog = !Array.isArray(scope) || scope.includes('1')
      if (Array.isArray(scope) && scope.some((business) => business !== '1')) {
        hintedReads += 1
        if (isBacklog) ofBacklog += 1
        if (hintedReads === 100) resolve()
      }
      reader.hint([1, 2, 3].map((n) => `${others + n}:inbound`))
      others += 3
      return { rows: isBacklog && rows < 900_000 ? Array.from({ length: allowance }, () => row(++rows)) : [] }
    }
    const onRead = (): void => {
      for (let turn = queues.next(0); turn !== null; turn = queues.next(0)) {
        queues.answered(turn)
        held.settled([turn.delivery])
      }
    }
    const stand = { lease: lease as Partial<Lease> as Lease, pool: { query } as Partial<pg.Pool> as pg.Pool }
    const parts = {
      held,
      queues,
      budget,
      draining: new Set<number>(),
      log: createLogger('silent', 'dispatcher'),
      onRead,
    }
    const reader = new Reader({
      ...{ kind: 'first', ...stand, ...parts },
      health: health as Partial<RouteHealth> as RouteHealth,
      endpoints: endpoints as Partial<Endpoints> as Endpoints,
    })
    onTestFinished(() => reader.stop())
    reader.start()
    await promise
    expect(ofBacklog).toBeGreaterThan(50)
  },
)
