import { describe, expect, test } from 'vitest'
import type { DeliveryView } from '../src/demo/admin-client.ts'
import type { ReceivedPost } from '../src/demo/receiver.ts'
import { callsOf, type DemoCall } from '../src/demo/scenario.ts'
import { judge } from '../src/demo/verdict.ts'

const payloadOf = (call: DemoCall): Record<string, unknown> => ({
  event_type: 'call.completed',
  business_id: call.business.id,
  call_id: call.callSid,
  phone: call.direction === 'inbound' ? call.from : call.to,
  direction: call.direction === 'inbound' ? 'inbound' : 'outbound',
  started_at: new Date(call.startedAt).toISOString().replace(/\.\d+/, ''),
  ended_at: new Date(call.startedAt.getTime() + call.durationSec * 1000).toISOString().replace(/\.\d+/, ''),
  duration_sec: call.durationSec,
  ...call.details,
  transcript: call.speech.transcript,
  summary: call.speech.summary,
  city: call.speech.city,
  service_category: call.speech.service_category,
})

const postOf = (call: DemoCall, change: Partial<ReceivedPost> = {}): ReceivedPost => ({
  path: call.endpoint ?? '',
  webhookId: `id of ${call.number}`,
  headers: {},
  body: Buffer.from(JSON.stringify(payloadOf(call))),
  at: 0,
  verified: true,
  answer: 200,
  ...change,
})

const deliveryOf = (call: DemoCall, attempts: number): DeliveryView => ({
  id: `id of ${call.number}`,
  call_sid: call.callSid,
  status: call.endpoint === null ? 'skipped' : 'delivered',
  reason: null,
  due_at: 0,
  attempts: Array.from({ length: attempts }, (_, index) => ({
    id: `${call.number}-${index}`,
    number: index + 1,
    started_at: 0,
    duration_ms: 1,
    result: 'ok',
    status_code: 200,
  })),
})

/** A run in which all went well, and what `change` makes of it. */
function judged(change: (posts: ReceivedPost[], calls: DemoCall[]) => void) {
  const calls = callsOf()
  const posts = calls.filter((call) => call.endpoint !== null).map((call) => postOf(call))
  change(posts, calls)
  const attemptsOf = (call: DemoCall): number =>
    posts.filter((post) => post.webhookId === `id of ${call.number}`).length
  const deliveries = new Map(calls.map((call) => [call, [deliveryOf(call, attemptsOf(call))]]))
  return judge(calls, deliveries, posts, true)
}

describe('the verdict of the demo', () => {
  test('finds nothing where nothing is wrong', () => {
    expect(judged(() => undefined)).toEqual({
      calls: 7,
      delivered: 5,
      skipped: 2,
      attempts: 5,
      lost: 0,
      duplicates: 0,
      problems: [],
    })
  })

  test('an attempt that was not accepted is no duplicate', () => {
    const verdict = judged((posts, [call]) => call && posts.unshift(postOf(call, { answer: 500 })))
    expect(verdict).toMatchObject({ attempts: 6, lost: 0, duplicates: 0, problems: [] })
  })

  test.each<[string, (posts: ReceivedPost[], calls: DemoCall[]) => unknown, Record<string, unknown>]>([
    ['a lost webhook', (posts) => posts.pop(), { lost: 1 }],
    ['one that was refused alone', (posts) => Object.assign(posts[0] ?? {}, { answer: 410 }), { lost: 1 }],
    ['one that came again', (posts) => posts[0] && posts.push(posts[0]), { duplicates: 1 }],
    ['a bad signature', (posts) => Object.assign(posts[0] ?? {}, { verified: false, answer: 401 }), { lost: 1 }],
    ['another endpoint', (posts) => Object.assign(posts[0] ?? {}, { path: '/handy-home' }), {}],
    ['one for a call that is to be skipped', (posts, calls) => calls[5] && posts.push(postOf(calls[5])), {}],
    [
      'a changed text',
      (posts, [call]) =>
        call && Object.assign(posts[0] ?? {}, { body: Buffer.from(JSON.stringify({ ...payloadOf(call), city: '?' })) }),
      {},
    ],
  ])('finds %s', (_name, change, expected) => {
    const verdict = judged(change)
    expect(verdict).toMatchObject(expected)
    expect(verdict.problems).not.toEqual([])
  })

  test('finds a POST that is in no attempt', () => {
    const [call] = callsOf()
    if (!call) throw new Error('the demo has no calls')
    const verdict = judge([call], new Map([[call, [deliveryOf(call, 0)]]]), [postOf(call)], true)
    expect(verdict.problems).toEqual(['0 attempts are recorded, 1 POSTs arrived'])
  })
})
