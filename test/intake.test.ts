import { expect, test } from 'vitest'
import { HeldDeliveries } from '../src/dispatcher/held-deliveries.ts'
import { type DueRow, takeRows } from '../src/dispatcher/intake.ts'
import type { Lease } from '../src/dispatcher/lease.ts'
import { planRead } from '../src/dispatcher/read-plan.ts'
import type { RouteHealth } from '../src/dispatcher/route-health.ts'
import { RouteQueues } from '../src/dispatcher/route-queues.ts'

const row = (id: string, state: DueRow['state'] = 'active'): DueRow => ({
  ...{ business_id: '1', direction: 'inbound', revision: 1, state, health_version: 0, probes: 0 },
  ...{ failing_for_ms: null, id, call_sid: 'CA1', event_type: 'call.completed', version: 0, attempt_count: 0, step: 0 },
  ...{ requeued: false, created_ms: 0, due_text: `2026-01-01 00:00:0${id}`, payload: Buffer.from('{}') },
})

/** One lane of route 1:inbound, and reads of it. */
function lane() {
  const held = new HeldDeliveries()
  const queues = new RouteQueues({ limitsOf: () => null, mostDoubtful: 10, onReady: () => undefined })
  const lease = { owned: new Set([1]) } as Partial<Lease> as Lease
  const health = { adopt: () => undefined } as Partial<RouteHealth> as RouteHealth
  const parts = { kind: 'first', lease, held, queues, health, draining: new Set<number>() } as const
  const route = queues.route('1', 'inbound')
  const plan = () => planRead([route], { kind: 'first', held, sweepAfter: null, nowMs: performance.now() })
  const takeThese = (read: ReturnType<typeof plan>, rows: DueRow[], cut?: DueRow) =>
    takeRows(parts, rows, read, { allowance: 4, cut, lost: new Set() })
  const take = (read: ReturnType<typeof plan>, ids: string[]) =>
    takeThese(
      read,
      ids.map((id) => row(id)),
    )
  const drop = () => {
    for (const delivery of queues.clear(route)) held.drop(delivery)
  }
  return { route, plan, take, takeThese, drop }
}

test('a read leaves out what is in memory', () => {
  const { plan, take } = lane()
  expect(take(plan(), ['1', '2'])).toBe(2)
  expect(plan().held).toEqual({ 1: 1, 2: 1 })
})

test('what a read brings of a route that was emptied meanwhile is left to a read from the head', () => {
  const { route, plan, take, drop } = lane()
  take(plan(), ['1', '2'])
  const begunBefore = plan()
  drop()
  expect(take(begunBefore, ['3'])).toBe(0)
  const again = plan()
  expect([again.held, again.cursors, again.fromHead]).toEqual([{}, {}, [route]])
})

test('all that a read may bring is taken while no more than the low water was waiting', () => {
  const { route, plan, take } = lane()
  expect(take(plan(), ['1'])).toBe(1)
  expect(take(plan(), ['2', '3', '4', '5', '6'])).toBe(4)
  expect(route.lanes.first).toMatchObject({ cursor: '2026-01-01 00:00:05', hasMore: true })
})

test('what committed late, behind the cursor, is read on from there: it may be more than one read brings', () => {
  const { route, plan, take } = lane()
  take(plan(), ['8', '9'])
  expect(route.lanes.first.cursor).toBe('2026-01-01 00:00:09')
  const fromHead = plan()
  expect(fromHead.fromHead).toEqual([route])
  take(fromHead, ['1', '2', '3', '4'])
  expect(route.lanes.first).toMatchObject({ cursor: '2026-01-01 00:00:03', hasMore: true })
})

test('a route in which a read was cut is read again from where that read began: the database may mix up its rows', () => {
  const { route, plan, takeThese } = lane()
  const rows = [row('3'), row('2')]
  expect(takeThese(plan(), rows, rows.at(-1))).toBe(2)
  expect(route.lanes.first).toMatchObject({ cursor: null, hasMore: true })
})

test('of a route whose row still says that it fails there is more than its probe, once its breaker has closed', () => {
  const { route, plan, takeThese } = lane()
  takeThese(plan(), [row('1', 'failing')])
  expect(route.lanes.first).toMatchObject({ hasMore: true })
})
