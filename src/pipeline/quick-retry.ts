import { setTimeout as delay } from 'node:timers/promises'
import pRetry from 'p-retry'
import { type Outcome, type Setback, setBack } from './outcome.ts'

/** A longer `Retry-After` is waited out by the job, not by a worker that could do something else. */
const longestRetryAfterMs = 20_000

class SetbackError extends Error {
  readonly setback: Setback
  constructor(setback: Setback) {
    super(setback.kind)
    this.setback = setback
  }
}

/**
 * Tries a step's request up to three times, for trouble that is over in seconds. What is left then is for the job's
 * own backoff.
 *
 * @param firstWaitMs before the second try; doubled, and with jitter, before the third.
 * @param signal ends it, with the setback `interrupted`.
 */
export async function retryQuickly<T>(
  attempt: () => Promise<Outcome<T>>,
  firstWaitMs: number,
  signal: AbortSignal,
): Promise<Outcome<T>> {
  try {
    return await pRetry(
      async () => {
        const outcome = await attempt()
        if (!outcome.ok) throw new SetbackError(outcome.setback)
        return outcome
      },
      {
        retries: 2,
        minTimeout: firstWaitMs,
        randomize: true,
        // A try that took long, such as an hour of speech that timed out, is not repeated at once.
        maxRetryTime: 60_000,
        signal,
        shouldRetry: ({ error }) => error instanceof SetbackError && isWorthAQuickTry(error.setback),
        onFailedAttempt: async ({ error, retriesLeft }) => {
          if (!(error instanceof SetbackError) || retriesLeft === 0) return
          const { setback } = error
          if (setback.kind !== 'outage' || setback.afterMs === undefined || !isWorthAQuickTry(setback)) return
          await delay(setback.afterMs, undefined, { signal })
        },
      },
    )
  } catch (error) {
    if (signal.aborted) return setBack({ kind: 'interrupted' })
    if (error instanceof SetbackError) return setBack(error.setback)
    throw error
  }
}

function isWorthAQuickTry(setback: Setback): boolean {
  if (setback.kind === 'outage') return (setback.afterMs ?? 0) <= longestRetryAfterMs
  return setback.kind === 'unusable'
}

/** @param now the time from which a date counts, in ms since 1970. @returns at most a day; `undefined`: unreadable. */
export function retryAfterMs(header: string | null | undefined, now = Date.now()): number | undefined {
  if (!header) return undefined
  const ms = /^\d+(\.\d+)?$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), 86_400_000)
}

/**
 * How long an answer asks to wait: `retry-after-ms` (Azure, OpenAI's client), else `Retry-After` in seconds or as a date
 * (RFC 9110, 10.2.3), which is measured by the server's own clock if it sent that.
 */
export function retryAfterOf(headers: Headers): number | undefined {
  const ms = Number(headers.get('retry-after-ms') ?? Number.NaN)
  if (ms >= 0) return retryAfterMs(String(ms / 1000))
  const now = Date.parse(headers.get('date') ?? '')
  return retryAfterMs(headers.get('retry-after'), Number.isNaN(now) ? Date.now() : now)
}
