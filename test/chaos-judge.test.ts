import { expect, test } from 'vitest'
import type { HappenedFault } from './chaos/faults.ts'
import { type Evidence, judge } from './chaos/judge.ts'
import { makePlan } from './chaos/plan.ts'
import type { ReceivedPost } from './chaos/receiver.ts'

const began = Date.UTC(2026, 0, 1)
const at = (seconds: number): number => began + seconds * 1000

const post = (id: string, seconds: number, answer: ReceivedPost['answer'] = 200): ReceivedPost => ({
  id,
  businessId: '7',
  bodyHash: 'bytes',
  verified: true,
  atMs: at(seconds),
  answer,
  overMs: at(seconds) + 5,
})
const attempt = (id: string, seconds: number, number = 1, result = 'ok') => ({
  delivery_id: id,
  number,
  result,
  started_ms: at(seconds) - 2,
})
const delivered = (id: string, attempt_count = 1) => ({ id, status: 'delivered', attempt_count })
const fault = (kind: 'kill' | 'term', seconds: number): HappenedFault => ({
  fault: { kind, dispatcher: 0 },
  beganMs: at(seconds),
  endedMs: at(seconds + 5),
})
const stop: HappenedFault = {
  fault: { kind: 'stop', dispatcher: 0, forMs: 4_500 },
  beganMs: at(40),
  endedMs: at(44.5),
}

/** One event, committed, posted once, accepted, on record. */
const balanced = (): Evidence => ({
  produced: {
    committed: new Map([['a', { businessId: '7', bodyHash: 'bytes' }]]),
    rolledBack: new Set(['r']),
    unheardCommits: 0,
    repeated: 0,
  },
  posts: [post('a', 1)],
  deliveries: [delivered('a')],
  attempts: [attempt('a', 1)],
  overwritten: [],
  faults: [fault('kill', 20), fault('term', 30), stop],
  handovers: [],
  window: 2,
})

const failed = (evidence: Partial<Evidence>): string[] =>
  judge({ ...balanced(), ...evidence })
    .checks.filter(({ passed }) => !passed)
    .map(({ what }) => what)

test('records that balance pass', () => {
  expect(failed({})).toEqual([])
})

test.each<[string, Partial<Evidence>]>([
  ['lost', { deliveries: [{ id: 'a', status: 'pending', attempt_count: 1 }] }],
  ['lost', { deliveries: [{ id: 'a', status: 'failed', attempt_count: 1 }] }],
  ['lost', { deliveries: [], attempts: [] }],
  ['sent though rolled back', { posts: [post('a', 1), post('r', 1)] }],
  ['sent though nobody', { posts: [post('a', 1), post('?', 1)] }],
  ['in the outbox', { deliveries: [delivered('a'), { id: 'r', status: 'pending', attempt_count: 0 }] }],
  ['delivered, and no receiver', { posts: [post('a', 1, 500)] }],
  ['other bytes', { posts: [{ ...post('a', 1), bodyHash: 'other' }] }],
  ['not signed', { posts: [{ ...post('a', 1), verified: false }] }],
  ["a former owner's result", { deliveries: [delivered('a', 2)] }],
  ['finished, and changed again', { overwritten: ['a'] }],
  // Nothing had happened yet when it was posted twice, and when it was posted unrecorded.
  [
    'unrecorded or repeated with no fault',
    { posts: [post('a', 1), post('a', 2)], attempts: [attempt('a', 1), attempt('a', 2)] },
  ],
  ['unrecorded or repeated with no fault', { posts: [post('a', 1, 500), post('a', 2)], attempts: [attempt('a', 2)] }],
  [
    'unrecorded or repeated by a SIGTERM',
    { posts: [post('a', 30), post('a', 31)], attempts: [attempt('a', 30), attempt('a', 31)] },
  ],
  [
    'sent past the lease',
    { posts: [post('a', 43.5), post('a', 44.6)], attempts: [attempt('a', 43.5), attempt('a', 44.6)] },
  ],
])('%s', (what, evidence) => {
  expect(failed(evidence).filter((check) => check.startsWith(what))).toHaveLength(1)
})

test('a kill may leave a window of POSTs unrecorded and repeated, and not one more', () => {
  const killed = (ids: string[]): string[] =>
    failed({
      produced: {
        ...balanced().produced,
        committed: new Map(ids.map((id) => [id, { businessId: '7', bodyHash: 'bytes' }])),
      },
      deliveries: ids.map((id) => delivered(id)),
      posts: ids.flatMap((id) => [post(id, 19.9), post(id, 24)]),
      attempts: ids.map((id) => attempt(id, 24)),
    })
  expect(killed(['a', 'b'])).toEqual([])
  expect(killed(['a', 'b', 'c'])).toEqual(['unrecorded or repeated, the most by one disruptive fault'])
})

test('what the sender has on record as not answered may be repeated', () => {
  const attempts = [attempt('a', 1, 1, 'timeout'), attempt('a', 4, 2)]
  expect(failed({ posts: [post('a', 1), post('a', 4)], attempts, deliveries: [delivered('a', 2)] })).toEqual([])
})

test("a result that came to nothing because of a former owner's is put down to what happened to that one", () => {
  const posts = [post('a', 40), post('a', 46), post('a', 53)]
  const attempts = [attempt('a', 40, 1, 'timeout'), attempt('a', 46), attempt('a', 53, 2)]
  const faults = [stop, { ...fault('term', 48) }]
  expect(failed({ posts, attempts, faults, deliveries: [delivered('a', 2)] })).toEqual([])
  const own = [attempt('a', 40, 1, 'timeout'), attempt('a', 46, 2), attempt('a', 53, 3)]
  expect(failed({ posts, attempts: own, faults, deliveries: [delivered('a', 3)] })).toEqual([
    'unrecorded or repeated by a SIGTERM',
  ])
})

test('hand-overs are judged by the slowest slot, of a SIGTERM by those with nothing in flight', () => {
  const handover = (how: 'kill' | 'term', tookMs: number | null): Evidence['handovers'] => [
    { how, dispatcher: 0, atMs: at(50), tookMs: new Map([[7, tookMs]]) },
  ]
  expect(failed({ handovers: handover('kill', 4_900) })).toEqual([])
  expect(failed({ handovers: handover('kill', 5_100) })[0]).toMatch(/^takeover/)
  expect(failed({ handovers: handover('kill', null) })[0]).toMatch(/^takeover/)
  expect(failed({ handovers: handover('term', 1_100) })[0]).toMatch(/^hand-over/)
  const inFlight = { ...post('a', 49), overMs: at(51) }
  expect(failed({ handovers: handover('term', 1_900), posts: [inFlight] })).toEqual([])
})

test('a seed makes its plan, each kind of fault once in seven', () => {
  const plan = makePlan(1, 10, 3)
  expect(makePlan(1, 10, 3)).toEqual(plan)
  expect(makePlan(2, 10, 3)).not.toEqual(plan)
  for (let round = 0; round + 7 <= plan.faults.length; round += 7) {
    expect(new Set(plan.faults.slice(round, round + 7).map(({ fault: { kind } }) => kind)).size).toBe(7)
  }
})
