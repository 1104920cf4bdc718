import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Delivery } from '../src/dispatcher/delivery.ts'
import type { LaneKind, Route } from '../src/dispatcher/routes/route.ts'
import { RouteQueues } from '../src/dispatcher/routes/route-queues.ts'
import { dueDelivery } from './helpers/due-delivery.ts'

/** The slot of business 1. */
const owned = (slot: number) => slot === 1

const failure = { of: 'endpoint', ok: false, reason: 'HTTP 500', isGone: false, holdMs: 0 } as const
/** An attempt of the route fails; the keeper then tells the queues. */
function fail(queues: RouteQueues, route: Route, deliveryId = 'a'): void {
  route.health.judge(failure, deliveryId, false, 0)
  queues.changed(route)
}

function fill(queues: RouteQueues, route: Route, kind: LaneKind, count: number): void {
  for (let n = 0; n < count; n += 1) queues.add(dueDelivery({ id: `${kind}-${n}`, route, kind }))
}

/** A route of ten a second; at each tenth one is sent, answered at once, and looked for in vain `looks` times. */
function kindsSent(looks: number, begun: number, tenths: number): string[] {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const kinds: string[] = []
  const queues = new RouteQueues({
    limitsOf: () => ({ maxConcurrency: null, ratePerSecond: 10 }),
    maxOnProbation: 100,
    onReady: () => {
      for (let n = 0; n < looks; n += 1) {
        const turn = queues.next(performance.now())
        if (turn === null) continue
        kinds.push(turn.id.split('-')[0] ?? '')
        queues.answered(turn)
      }
    },
  })
  const route = queues.route('1', 'inbound')
  for (let n = 0; n < begun; n += 1) queues.next(performance.now())
  for (const kind of ['first', 'retry'] as const) fill(queues, route, kind, 1_000)
  queues.next(performance.now())
  for (let n = 0; n < tenths; n += 1) {
    vi.advanceTimersByTime(101)
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1)
  }
  return kinds
}

test.each([0, 1, 2, 3])(
  'of four turns three are for first attempts and one for a retry, in step with a rate or not',
  (begun) => {
    for (const looks of [2, 3, 4, 5, 8]) {
      const kinds = kindsSent(looks, begun, 40)
      expect(kinds.length).toBeGreaterThan(30)
      const retries = kinds.filter((kind) => kind === 'retry').length
      expect(Math.abs(retries - kinds.length / 4)).toBeLessThanOrEqual(1)
    }
  },
)

test('a lane that a hint told more of, when it had enough, asks to be read as soon as it has not', () => {
  const limits = { maxConcurrency: 100, ratePerSecond: null }
  const queues = new RouteQueues({ limitsOf: () => limits, maxOnProbation: 100, onReady: () => undefined })
  const route = queues.route('1', 'inbound')
  fill(queues, route, 'first', 4)
  Object.assign(route.lanes.first, { isHinted: true, lowWater: 2 })
  queues.next(0)
  expect([...queues.hungry('first')]).toEqual([])
  queues.next(0)
  expect([...queues.hungry('first')]).toEqual([route])
})

test('a route that still asks to be read is not forgotten, however quiet it has become', () => {
  const limits = { maxConcurrency: 100, ratePerSecond: null }
  const queues = new RouteQueues({ limitsOf: () => limits, maxOnProbation: 100, onReady: () => undefined })
  const route = queues.route('1', 'inbound')
  fill(queues, route, 'first', 1)
  Object.assign(route.lanes.first, { isHinted: true, headReadMs: 0 })
  const turn = queues.next(0)
  if (turn) queues.answered(turn)
  expect(route.isQuiet).toBe(true)
  queues.prune(1, owned)
  expect([...queues.hungry('first')]).toEqual([route])
  expect(queues.find('1', 'inbound')).toBe(route)
  queues.readBegan(route, 'first')
  queues.prune(1, owned)
  expect(queues.find('1', 'inbound')).toBeUndefined()
})

test('routes that answer fill the whole window, one place each and those on probation', () => {
  const limits = { maxConcurrency: 100, ratePerSecond: null }
  const queues = new RouteQueues({ limitsOf: () => limits, maxOnProbation: 6, onReady: () => undefined })
  for (const business of ['1', '2']) fill(queues, queues.route(business, 'inbound'), 'first', 100)
  const underWay: Delivery[] = []
  const sendAll = (): void => {
    for (let turn = queues.next(0); turn !== null; turn = queues.next(0)) underWay.push(turn)
  }
  sendAll()
  expect(underWay).toHaveLength(8)
  for (let n = 0; n < 20; n += 1) {
    const oldest = underWay.shift()
    if (oldest) queues.answered(oldest)
    sendAll()
    expect(underWay).toHaveLength(8)
  }
})

test('a route that fails has no place of its own, and leaves those of others', () => {
  const limits = { maxConcurrency: 100, ratePerSecond: null }
  const queues = new RouteQueues({ limitsOf: () => limits, maxOnProbation: 4, onReady: () => undefined })
  const [failing, other] = ['1', '2'].map((business) => queues.route(business, 'inbound')) as [Route, Route]
  fill(queues, failing, 'first', 100)
  const begun = queues.next(0)
  fail(queues, failing)
  if (begun) queues.answered(begun)
  let sent = 0
  while (queues.next(0) !== null) sent += 1
  expect(sent).toBe(4)
  fill(queues, other, 'first', 3)
  expect(queues.next(0)?.route).toBe(other)
  expect(queues.next(0)).toBeNull()
})

test('the failures of a route count in a row, however long it is quiet between them', () => {
  const queues = new RouteQueues({ limitsOf: () => null, maxOnProbation: 100, onReady: () => undefined })
  for (let n = 0; n < 5; n += 1) {
    queues.route('1', 'inbound').health.judge(failure, `d${n}`, false, n)
    queues.prune(Number.POSITIVE_INFINITY, owned)
  }
  expect(queues.find('1', 'inbound')?.health.state).toBe('failing')
  queues.route('1', 'inbound').health.judge({ of: 'endpoint', ok: true }, 'd', true, 0)
  queues.prune(Number.POSITIVE_INFINITY, owned)
  expect(queues.find('1', 'inbound')).toBeUndefined()
})

test("a route whose slot is somebody else's is forgotten, in trouble or not", () => {
  const queues = new RouteQueues({ limitsOf: () => null, maxOnProbation: 100, onReady: () => undefined })
  queues.route('1', 'inbound').health.adopt({ state: 'failing', healthVersion: 1, probes: 3, failingForMs: 1_000 }, 0)
  queues.route('1', 'outbound').health.adoptParked(1)
  queues.prune(Number.POSITIVE_INFINITY, owned)
  expect([...queues.routes()]).toHaveLength(2)
  queues.prune(Number.POSITIVE_INFINITY, (slot) => slot === 2)
  expect([...queues.routes()]).toHaveLength(0)
})

describe('the place of a POST on probation that ended', () => {
  function crowd() {
    const queues = new RouteQueues({ limitsOf: () => null, maxOnProbation: 1, onReady: () => undefined })
    const add = (business: string, kind: LaneKind, count: number): Route => {
      const route = queues.route(business, 'inbound')
      fill(queues, route, kind, count)
      return route
    }
    const send = (): Delivery[] => {
      const turns: Delivery[] = []
      for (let turn = queues.next(0); turn !== null; turn = queues.next(0)) turns.push(turn)
      return turns
    }
    return { queues, add, send }
  }
  const routesOf = (turns: Delivery[]): string[] => turns.map(({ route }) => route.businessId)

  test.each(['first', 'retry'] as const)('goes on from a route that does not need it any more: %s', (kind) => {
    const { queues, add, send } = crowd()
    add('1', 'first', 2)
    const both = send()
    add('2', 'first', 2)
    const own = send()
    fail(queues, add('3', kind, 1))
    expect(send()).toEqual([])
    // The window is full: nobody has a turn until all have answered.
    for (const turn of [...own, ...both]) queues.answered(turn)
    expect(routesOf(send())).toContain('3')
  })

  test('goes on from a route that is emptied before its turn', () => {
    const { queues, add, send } = crowd()
    add('1', 'retry', 1)
    const [begun] = send()
    const emptied = add('2', 'retry', 1)
    add('3', 'retry', 1)
    expect(send()).toEqual([])
    if (begun) queues.answered(begun)
    queues.clear(emptied, 1)
    expect(routesOf(send())).toEqual(['3'])
  })
})
