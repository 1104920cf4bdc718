import type { Setback } from './outcome.ts'
import type { PipelineTimings } from './timings.ts'

/**
 * How often in a row a step may be set back before its call fails. With the waits of {@link backoffMs}, each of up to
 * ten minutes: an outage is outlasted for three and a half days; Twilio has close to an hour to bring a recording
 * forth; and an answer that cannot be used is paid for five times, of which each is up to three quick tries.
 */
const mostTries = { outage: 500, absent: 12, unusable: 5 }

/** A setback that another try may overcome. */
export type PassingSetback = Extract<Setback, { kind: keyof typeof mostTries }>

/** Whether a call whose step was set back for the `tries`th time in a row gets another try. */
export const mayTryAgain = (setback: PassingSetback, tries: number): boolean => tries < mostTries[setback.kind]

/** The wait after the `tries`th setback in a row, in milliseconds. */
export function backoffMs(setback: PassingSetback, tries: number, timings: PipelineTimings): number {
  const doubled = timings.firstBackoffMs * 2 ** Math.min(tries - 1, 30)
  const wait = Math.min(doubled, timings.longestBackoffMs) * (1 + 0.2 * Math.random())
  const asked = setback.kind === 'outage' ? (setback.afterMs ?? 0) : 0
  return Math.max(wait, asked)
}
