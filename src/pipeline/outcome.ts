import type { RefusableStep } from '../calls/pipeline-pauses.ts'

/** The steps of a call, in their order; see table `call_steps`. */
export const stepNames = ['audio', 'transcript', 'summary', 'extraction', 'completion'] as const
export type StepName = (typeof stepNames)[number]

/** The steps that ask the model service; one can be refused while the others work. */
export type ModelStep = Extract<StepName, 'transcript' | 'summary' | 'extraction'>

/**
 * Why a step did not succeed, by what follows from it. `error` is for operators and the API: no phone number,
 * transcript, secret or URL path is in it.
 *
 * - `outage`: the trouble of a service; tried again with the job's backoff until it is over. `afterMs`: not earlier than that.
 * - `absent`: Twilio does not have the recording, perhaps not yet.
 * - `unreadable`: the service cannot read the audio; it is downloaded again.
 * - `unusable`: the service answered, but with nothing that can be used; each try is paid for.
 * - `refused`: the service refuses us, not this call: the queue pauses.
 * - `held`: the service asked for a pause of `afterMs`.
 * - `hopeless`: no repetition helps; the call fails. `fittingShare`: the text was too long, and this share of it fits.
 * - `waiting`: nothing is wrong, it is only too early.
 * - `interrupted`: this process stops or has lost the job; another run goes on.
 * - `over`: another run has ended the call.
 */
export type Setback =
  | { kind: 'outage'; error: string; afterMs?: number }
  | { kind: 'absent'; error: string }
  | { kind: 'unreadable'; error: string }
  | { kind: 'unusable'; error: string }
  | { kind: 'hopeless'; error: string; fittingShare?: number }
  | { kind: 'refused'; step: RefusableStep; error: string }
  | { kind: 'held'; error: string; afterMs: number }
  | { kind: 'waiting'; afterMs: number }
  | { kind: 'interrupted' }
  | { kind: 'over' }

export type Outcome<T> = { ok: true; value: T } | { ok: false; setback: Setback }

export const done = <T>(value: T): Outcome<T> => ({ ok: true, value })
export const setBack = (setback: Setback): { ok: false; setback: Setback } => ({ ok: false, setback })

/** The error's code or name alone: messages of network and database errors may carry addresses and values. */
export function errorCode(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.cause instanceof Error ? errorCode(error.cause) : error.name
}

/**
 * What PostgreSQL can store and JSON can carry: without U+0000, which no PostgreSQL text can hold, and with U+FFFD for
 * halves of surrogate pairs, which no UTF-8 can. All else stays as it is.
 */
export const storableText = (text: string): string => text.replaceAll('\0', '').toWellFormed()
