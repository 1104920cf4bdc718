import { expect, test } from 'vitest'
import { backoffMs, isGivenUp, type PassingSetback } from '../src/pipeline/backoff.ts'
import { pipelineTimings } from '../src/pipeline/timings.ts'

const maxTries = 100_000

/** The waits until the call fails, in milliseconds; at most {@link maxTries}. */
function waits(setback: PassingSetback): number[] {
  const all: number[] = []
  for (let tries = 1; tries <= maxTries && !isGivenUp(setback, tries); tries++)
    all.push(backoffMs(setback, tries, pipelineTimings))
  return all
}
const hours = (ms: number[]) => ms.reduce((sum, one) => sum + one, 0) / 3_600_000

test('an outage never fails a call, in waits of at most twelve minutes', () => {
  const outage = waits({ kind: 'outage', error: 'down' })
  expect(outage).toHaveLength(maxTries)
  expect(hours(outage)).toBeGreaterThan(365 * 24)
  expect(outage[0]).toBeLessThanOrEqual(6_000)
  expect(Math.max(...outage)).toBeLessThanOrEqual(720_000)
})

test('a recording has close to an hour to appear; useless answers are not paid for many times', () => {
  expect(hours(waits({ kind: 'absent', error: '404' }))).toBeGreaterThan(0.75)
  expect(waits({ kind: 'unusable', error: 'nonsense' })).toHaveLength(4)
})

test('a longer Retry-After is kept', () => {
  expect(backoffMs({ kind: 'outage', error: 'busy', afterMs: 3_600_000 }, 1, pipelineTimings)).toBe(3_600_000)
})
