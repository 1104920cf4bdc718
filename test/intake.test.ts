import { expect, test } from 'vitest'
import { Slots } from '../src/dispatcher/lease/slots.ts'
import { Held } from '../src/dispatcher/reading/held.ts'
import { takeRows } from '../src/dispatcher/reading/intake.ts'
import type { DueRow } from '../src/dispatcher/reading/read-due.ts'
import { planRead } from '../src/dispatcher/reading/read-plan.ts'
import { ReadSequence } from '../src/dispatcher/reading/read-sequence.ts'
import type { HealthKeeper } from '../src/dispatcher/routes/health-keeper.ts'
import { RouteQueues } from '../src/dispatcher/routes/route-queues.ts'
import { Window } from '../src/dispatcher/window.ts'
import { dueRow, dueUsOf } from './helpers/due-delivery.ts'

const mebibyte = 1024 * 1024

/** One lane of route 1:inbound, and reads of it. */
function lane(memoryBytes = 64 * mebibyte) {
  const reads = new ReadSequence()
  const slots = new Slots(reads)
  slots.gain([1, 2, 3])
  const held = new Held(slots, reads)
  const window = new Window(10, memoryBytes)
  const queues = new RouteQueues({ limitsOf: () => null, maxOnProbation: 10, onReady: () => undefined })
  const health = { adopt: () => undefined } as Partial<HealthKeeper> as HealthKeeper
  const dependencies = { kind: 'first', slots, held, queues, health, window } as const
  const route = queues.route('1', 'inbound')
  const plan = (read = reads.begin()) =>
    planRead([route], {
      ...{ read, kind: 'first', held, sweepAfter: null },
      isForLater: () => false,
      nowMs: performance.now(),
    })
  const takeThese = (planned: ReturnType<typeof plan>, rows: DueRow[], cut?: DueRow) => {
    const taken = takeRows(dependencies, rows, planned, { allowance: 4, cut })
    reads.end(planned.read)
    return taken
  }
  const take = (planned: ReturnType<typeof plan>, ids: number[]) =>
    takeThese(
      planned,
      ids.map((id) => dueRow(1, id)),
    )
  const drop = () => {
    for (const delivery of queues.clear(route, reads.next)) {
      held.drop(delivery)
      window.drop(delivery)
    }
  }
  return { route, queues, slots, window, plan, take, takeThese, drop }
}

test('a read leaves out what is in memory', () => {
  const { plan, take } = lane()
  expect(take(plan(), [1, 2])).toBe(2)
  expect(plan().held).toEqual({ 1: 1, 2: 1 })
})

test('what a read brings of a route that was emptied in the meantime is left to a read from the head', () => {
  const { route, plan, take, drop } = lane()
  take(plan(), [1, 2])
  const begunBefore = plan()
  drop()
  expect(take(begunBefore, [3])).toBe(0)
  const again = plan()
  expect([again.held, again.cursors, again.fromHead]).toEqual([{}, {}, [route]])
})

test('what a read brings of a slot that was lost and gained in the meantime is not taken', () => {
  const { slots, plan, take } = lane()
  const begunBefore = plan()
  slots.lose([1])
  slots.gain([1])
  expect(take(begunBefore, [1])).toBe(0)
  expect(take(plan(), [1])).toBe(1)
})

test('a slot that is being drained accepts nothing', () => {
  const { slots, plan, take } = lane()
  slots.drain([1])
  expect(take(plan(), [1])).toBe(0)
})

test('all that a read may bring is taken while no more than the low water was waiting', () => {
  const { route, plan, take } = lane()
  expect(take(plan(), [1])).toBe(1)
  expect(take(plan(), [2, 3, 4, 5, 6])).toBe(4)
  expect(route.lanes.first).toMatchObject({ cursorUs: dueUsOf(5), hasMore: true })
})

test('what committed late, behind the cursor, is read on from there: it may be more than one read brings', () => {
  const { route, plan, take, queues } = lane()
  take(plan(), [8, 9])
  expect(route.lanes.first.cursorUs).toBe(dueUsOf(9))
  queues.readFromHead(route)
  const fromHead = plan()
  expect(fromHead.fromHead).toEqual([route])
  take(fromHead, [1, 2, 3, 4])
  expect(route.lanes.first).toMatchObject({ cursorUs: dueUsOf(3), hasMore: true })
})

test('a route in which a read was cut is read again from where that read began: the database may mix up its rows', () => {
  const { route, plan, takeThese } = lane()
  const rows = [dueRow(1, 3), dueRow(1, 2)]
  expect(takeThese(plan(), rows, rows.at(-1))).toBe(2)
  expect(route.lanes.first).toMatchObject({ cursorUs: null, hasMore: true })
})

test('a route whose row still says that it fails has more than its probe, once its breaker has closed', () => {
  const { route, plan, takeThese } = lane()
  takeThese(plan(), [dueRow(1, 1, { state: 'failing' })])
  expect(route.lanes.first).toMatchObject({ hasMore: true })
})

test('payloads are taken up to three quarters of the memory, and the rest is kept for other routes', () => {
  const { plan, takeThese, window } = lane(16 * mebibyte)
  const large = (businessId: number, id: number) => dueRow(businessId, id, { payload: Buffer.alloc(mebibyte) })
  const rows = [1, 2, 3].flatMap((business) => [1, 2, 3, 4].map((n) => large(business, business * 10 + n)))
  takeThese(plan(), rows)
  // A lane keeps a sixteenth of the memory, or one payload.
  expect(window.roomBytes).toBe(13 * mebibyte)
})
