import type { Setback } from './outcome.ts'
import type { PipelineTimings } from './timings.ts'

/**
 * How often in a row a step may be set back before its call fails, with the waits of {@link backoffMs}. An outage never
 * fails a call, however long it lasts. Twilio has close to an hour to provide a recording, audio is downloaded three
 * times before it is at fault, and an unusable answer is paid for five times, each with up to three quick tries.
 */
const maxTries = { outage: Number.POSITIVE_INFINITY, absent: 12, unreadable: 3, unusable: 5 }

/** A setback that another try may overcome. */
export type PassingSetback = Extract<Setback, { kind: keyof typeof maxTries }>

/** Whether a call fails because its step was set back for the `tries`th time in a row. */
export function isGivenUp(setback: PassingSetback, tries: number): setback is LimitedSetback {
  return tries >= maxTries[setback.kind]
}

/** A setback after which a call can fail. */
type LimitedSetback = Exclude<PassingSetback, { kind: 'outage' }>

const advice: Record<LimitedSetback['kind'], string> = {
  absent: 'Reprocess the call if Twilio lists the recording',
  unreadable: 'The recording is at fault, not the settings',
  unusable: 'The model is at fault: choose another one, then reprocess the call',
}

/** Why a call fails after its last try. */
export const givenUp = ({ kind, error }: LimitedSetback, tries: number): string =>
  `${error} (given up after ${tries} tries). ${advice[kind]}`

/** The wait after the `tries`th setback in a row, in milliseconds. */
export function backoffMs(setback: PassingSetback, tries: number, timings: PipelineTimings): number {
  const asked = setback.kind === 'outage' ? (setback.afterMs ?? 0) : 0
  return Math.max(doubledMs(tries, timings), asked)
}

/** How long a call that was refused on its own waits after its `tries`th try, in milliseconds; it is never given up. */
export const refusedWaitMs = (tries: number, timings: PipelineTimings): number => doubledMs(tries, timings)

function doubledMs(tries: number, timings: PipelineTimings): number {
  const doubled = timings.firstBackoffMs * 2 ** Math.min(tries - 1, 30)
  return Math.min(doubled, timings.longestBackoffMs) * (1 + 0.2 * Math.random())
}
