import { describe, expect, test } from 'vitest'
import { DeathWatch, deathAfterMs } from '../src/dispatcher/lease/death-watch.ts'
import { type FleetView, planSlots } from '../src/dispatcher/lease/slot-plan.ts'
import { Slots } from '../src/dispatcher/lease/slots.ts'
import { Held } from '../src/dispatcher/reading/held.ts'
import { ReadSequence } from '../src/dispatcher/reading/read-sequence.ts'
import { Route } from '../src/dispatcher/routes/route.ts'
import type { PostResult } from '../src/dispatcher/sending/post.ts'
import { outcomeOf, parseRetryAfter } from '../src/dispatcher/sending/retry-policy.ts'
import { dueDelivery } from './helpers/due-delivery.ts'

describe('slot plan', () => {
  /** A fleet of these dispatchers; `owners` tells how many slots each id holds, from slot 0 on. */
  function fleet(ids: string[], owners: Record<string, number>, leaving: string[] = []): FleetView {
    const held = Object.entries(owners).flatMap(([owner, count]) => Array<string>(count).fill(owner))
    return {
      dispatchers: ids.map((id) => ({ id, beat: 1, leaving: leaving.includes(id) })),
      slots: Array.from({ length: 64 }, (_, slot) => ({ slot, owner: held[slot] ?? null })),
    }
  }
  const claimed = (plan: ReturnType<typeof planSlots>): number[] => plan.claim.map(({ slot }) => slot)

  test('one alone takes all', () => {
    const plan = planSlots('a', fleet(['a'], {}), false)
    expect(claimed(plan)).toEqual(Array.from({ length: 64 }, (_, slot) => slot))
    expect(plan.excess).toBe(0)
  })

  test.each([
    [1, 64],
    [2, 32],
    [3, 22],
    [5, 13],
    [64, 1],
    [100, 1],
  ])('of %d living, each holds no more than %d', (living, share) => {
    const ids = Array.from({ length: living }, (_, n) => `d${n}`)
    const plan = planSlots('d0', fleet(ids, { d0: 64 }), false)
    expect(plan).toEqual({ claim: [], excess: 64 - share })
    expect(planSlots('d0', fleet(ids, {}), false).claim.length).toBe(share)
  })

  test('several that start together reach for different slots', () => {
    const ids = ['a', 'b', 'c', 'd']
    const all = ids.flatMap((id) => claimed(planSlots(id, fleet(ids, {}), false)))
    expect(new Set(all).size).toBe(64)
  })

  test('slots of a living owner are never claimed, those of an absent one are, by the owner seen', () => {
    const view = fleet(['a', 'b'], { b: 60, gone: 4 })
    expect(planSlots('a', view, false).claim).toEqual([60, 61, 62, 63].map((slot) => ({ slot, owner: 'gone' })))
  })

  test('one that leaves claims nothing, gives up all, and does not count', () => {
    const view = fleet(['a', 'b'], { a: 32 }, ['a'])
    expect(planSlots('a', view, true)).toEqual({ claim: [], excess: 32 })
    expect(planSlots('b', view, false).claim.length).toBe(32)
    expect(planSlots('b', fleet(['a', 'b'], { b: 40 }, ['a']), false).excess).toBe(0)
  })
})

describe('death watch', () => {
  const at = (beat: number, id = 'x') => [{ id, beat }]
  /** Observes the same beat every half second for `ms`. */
  function still(watch: DeathWatch, beat: number, fromMs: number, ms: number): { id: string; beat: number }[] {
    let dead: { id: string; beat: number }[] = []
    for (let t = fromMs; t <= fromMs + ms; t += 500) dead = watch.observe(at(beat), t)
    return dead
  }

  test('a beat that stood still for 3 s is dead, not a moment earlier', () => {
    const watch = new DeathWatch()
    expect(still(watch, 7, 0, deathAfterMs - 500)).toEqual([])
    expect(watch.observe(at(7), deathAfterMs - 1)).toEqual([])
    expect(watch.observe(at(7), deathAfterMs)).toEqual([{ id: 'x', beat: 7 }])
  })

  test('a beat that moved begins anew, backwards too', () => {
    const watch = new DeathWatch()
    still(watch, 7, 0, 2_500)
    expect(watch.observe(at(8), 3_000)).toEqual([])
    expect(still(watch, 8, 3_500, 2_000)).toEqual([])
    expect(watch.observe(at(7), 6_000)).toEqual([])
  })

  test('a gap between reads proves nothing about what went before it', () => {
    const watch = new DeathWatch()
    still(watch, 7, 0, 2_500)
    expect(watch.observe(at(7), 4_500)).toEqual([])
    expect(still(watch, 7, 5_000, 2_000)).toEqual([])
    expect(watch.observe(at(7), 7_500)).toEqual([{ id: 'x', beat: 7 }])
  })

  test('one that was away is watched from its return', () => {
    const watch = new DeathWatch()
    still(watch, 7, 0, 2_000)
    watch.observe([], 2_500)
    expect(still(watch, 7, 3_000, 2_500)).toEqual([])
  })

  test('each is judged on its own', () => {
    const watch = new DeathWatch()
    for (let t = 0; t < 3_000; t += 500) watch.observe([...at(1, 'still'), ...at(t, 'moving')], t)
    expect(watch.observe([...at(1, 'still'), ...at(9, 'moving')], 3_000)).toEqual(at(1, 'still'))
  })
})

describe('held deliveries', () => {
  const delivery = (id: string, slot: number) => dueDelivery({ id, route: new Route(String(slot), 'inbound') })
  const [a, b, c] = [delivery('a', 1), delivery('b', 1), delivery('c', 2)]

  function start() {
    const reads = new ReadSequence()
    const slots = new Slots(reads)
    const held = new Held(slots, reads)
    const end = (read: number): void => {
      reads.end(read)
      held.forgetSettled()
    }
    return { reads, slots, held, end }
  }

  test('one that is held is not taken again', () => {
    const { held } = start()
    expect([held.hold(a), held.hold(a)]).toEqual([true, false])
    expect([...held.of('1:inbound')]).toEqual(['a'])
  })

  test('a settled one is held until the reads that began before the acknowledgement have ended', () => {
    const { held, reads, end } = start()
    held.hold(a)
    const first = reads.begin()
    const second = reads.begin()
    held.settled([a])
    const later = reads.begin()
    end(second)
    expect(held.hold(a)).toBe(false)
    end(first)
    expect(held.isEmpty).toBe(true)
    expect(held.hold(a)).toBe(true)
    end(later)
    expect(held.hold(a)).toBe(false)
  })

  test('with no read under way it is forgotten immediately', () => {
    const { held, reads, end } = start()
    held.hold(a)
    end(reads.begin())
    held.settled([a])
    expect(held.isEmpty).toBe(true)
  })

  test('several settles wait each for its own reads', () => {
    const { held, reads, end } = start()
    for (const one of [a, b]) held.hold(one)
    const first = reads.begin()
    held.settled([a])
    const second = reads.begin()
    held.settled([b])
    end(first)
    expect([...held.of('1:inbound')]).toEqual(['b'])
    end(second)
    expect(held.isEmpty).toBe(true)
  })

  test('a slot is idle when nothing of it waits, is sent or is being settled', () => {
    const { held, slots, reads } = start()
    expect(slots.isIdle(1)).toBe(true)
    for (const one of [a, b, c]) held.hold(one)
    held.drop(a)
    expect([slots.isIdle(1), slots.isIdle(2)]).toEqual([false, false])
    reads.begin()
    held.settled([b])
    expect([slots.isIdle(1), slots.isIdle(2), held.of('1:inbound').has('b')]).toEqual([true, false, true])
  })
})

describe('slots', () => {
  test('a drained slot is served again when it is gained again, without forgetting what was read before', () => {
    const reads = new ReadSequence()
    const slots = new Slots(reads)
    slots.gain([7])
    const read = reads.begin()
    slots.drain([7])
    expect([slots.accepts(7, read), slots.readable(), slots.owned()]).toEqual([false, [], [7]])
    slots.gain([7])
    expect([slots.accepts(7, read), slots.readable()]).toEqual([true, [7]])
  })

  test('rows of a read that began before the gain belong to the former owner', () => {
    const reads = new ReadSequence()
    const slots = new Slots(reads)
    const before = reads.begin()
    slots.gain([7])
    expect([slots.accepts(7, before), slots.accepts(7, reads.begin())]).toEqual([false, true])
  })
})

describe('retry policy', () => {
  const schedule = [5_000, 300_000, 60_000]
  const delivery = (step: number) => dueDelivery({ version: step, attemptCount: step, step })
  const result = (over: Partial<PostResult>): PostResult => ({
    ...{ result: 'http_error', statusCode: 500, error: null, excerpt: null, retryAfterMs: null, durationMs: 1 },
    keptConnectionClosed: false,
    ...over,
  })

  test('a 2xx delivers, whatever else it says', () => {
    const ok = result({ result: 'ok', statusCode: 200, retryAfterMs: 9_000 })
    expect(outcomeOf(delivery(9), ok, false, schedule, Math.random)).toEqual({ status: 'delivered', reason: null })
  })

  test('the wait is the step of the schedule and up to 10 % more', () => {
    for (const [step, wait] of schedule.entries()) {
      const pending = { status: 'pending', reason: null, step: step + 1 }
      expect(outcomeOf(delivery(step), result({}), false, schedule, () => 0)).toEqual({ ...pending, waitMs: wait })
      expect(outcomeOf(delivery(step), result({}), false, schedule, () => 0.5)).toEqual({
        ...pending,
        waitMs: wait * 1.05,
      })
    }
  })

  test('Retry-After lengthens the wait up to the longest step, and never shortens it', () => {
    const wait = (retryAfterMs: number) => outcomeOf(delivery(0), result({ retryAfterMs }), false, schedule, () => 0)
    expect(wait(100_000)).toMatchObject({ waitMs: 100_000 })
    expect(wait(1e12)).toMatchObject({ waitMs: 300_000 })
    expect(wait(0)).toMatchObject({ waitMs: 5_000 })
  })

  test('a failed probe and a 410 leave the schedule where it is', () => {
    const unmoved = { status: 'pending', reason: null, waitMs: 0, step: 3 }
    expect(outcomeOf(delivery(3), result({}), true, schedule, Math.random)).toEqual(unmoved)
    expect(outcomeOf(delivery(3), result({ statusCode: 410 }), true, schedule, Math.random)).toEqual(unmoved)
  })

  test('a schedule that is used up ends in failure, with the last answer in words', () => {
    expect(outcomeOf(delivery(3), result({ statusCode: 503 }), false, schedule, Math.random)).toEqual({
      status: 'failed',
      reason: 'no 2xx in 4 attempts; the last: HTTP 503',
    })
    const last = (over: Partial<PostResult>) => outcomeOf(delivery(3), result(over), false, schedule, Math.random)
    expect(last({ result: 'dns', statusCode: null })).toMatchObject({ reason: 'no 2xx in 4 attempts; the last: dns' })
    expect(last({ result: 'timeout', statusCode: 200 })).toMatchObject({
      reason: 'no 2xx in 4 attempts; the last: timeout after HTTP 200',
    })
  })

  test.each([
    ['120', 120_000],
    ['0', 0],
    [' 7 ', 7_000],
    ['Sun, 06 Nov 1994 08:49:37 GMT', 7_000],
    ['Sunday, 06-Nov-94 08:49:37 GMT', 7_000],
    ['Sun Nov  6 08:49:37 1994', 7_000],
    ['Sun, 06 Nov 1994 08:49:00 GMT', 0],
    ['', null],
    ['-5', null],
    ['1.5', null],
    ['1e3', null],
    ['soon', null],
    ['Sun, 99 Nov 1994 08:49:37 GMT', null],
    ['99999999999999999999', null],
    [null, null],
  ])('Retry-After %j is %j ms', (text, ms) => {
    expect(parseRetryAfter(text, Date.UTC(1994, 10, 6, 8, 49, 30))).toBe(ms)
  })
})
