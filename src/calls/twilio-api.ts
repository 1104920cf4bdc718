import { Agent, request } from 'undici'
import { z } from 'zod'
import type { Config } from '../config.ts'

/** A whole request for a Call resource, its answer read, in milliseconds. */
const deadlineMs = 10_000
/** A Call resource is about 1.5 KB. */
const longestAnswerBytes = 256 * 1024

const agent = new Agent({ maxResponseSize: longestAnswerBytes, connect: { timeout: 5_000 } })

/** RFC 2822, as Twilio writes times; what is no time is unknown. */
export function parseTwilioTime(text: string): Date | null {
  const time = new Date(text)
  return Number.isNaN(time.getTime()) ? null : time
}

/** Whole seconds in decimal digits; what is none is unknown. */
export function parseTwilioSeconds(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null
}

const time = z
  .string()
  .nullish()
  .transform((text) => parseTwilioTime(text ?? ''))
const seconds = z
  .union([z.string(), z.number().transform(String)])
  .nullish()
  .transform((text) => parseTwilioSeconds(text ?? ''))

/** The fields of a Call resource that Callbox reads (Twilio's documentation, "Call Resource"). */
const callResource = z.object({
  direction: z.string().nullish(),
  from: z.string().nullish(),
  to: z.string().nullish(),
  status: z.string().nullish(),
  parent_call_sid: z.string().nullish(),
  start_time: time,
  end_time: time,
  duration: seconds,
})

export type CallResource = z.infer<typeof callResource>

/** `found: null`: not known now, and worth asking again; `why` is fit for a log line and for an operator's eyes. */
export type CallResourceAnswer =
  | { found: true; resource: CallResource }
  | { found: false }
  | { found: null; why: string }

/**
 * The `Authorization` header for Twilio's API and its recordings; `null` without credentials. While tokens rotate
 * several verify callbacks, but the first one is what we sign in with.
 */
export function twilioAuthorization(settings: Config['twilio']): string | null {
  const token = settings.authTokens[0]
  if (settings.accountSid === null || token === undefined) return null
  return `Basic ${Buffer.from(`${settings.accountSid}:${token}`).toString('base64')}`
}

/**
 * Asks Twilio about a call, once, within 10 s. Never call it inside a transaction.
 *
 * @param signal ends the wait early, with an answer of "not known now".
 */
export async function fetchCallResource(
  settings: Config['twilio'],
  callSid: string,
  signal?: AbortSignal,
): Promise<CallResourceAnswer> {
  const authorization = twilioAuthorization(settings)
  if (authorization === null) return { found: null, why: 'TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set' }
  const path = `/2010-04-01/Accounts/${settings.accountSid}/Calls/${encodeURIComponent(callSid)}.json`
  const deadline = AbortSignal.timeout(deadlineMs)
  try {
    const answer = await request(`${settings.apiUrl}${path}`, {
      dispatcher: agent,
      headers: { authorization, accept: 'application/json' },
      signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
    })
    if (answer.statusCode !== 200) {
      await answer.body.dump()
      return answer.statusCode === 404
        ? { found: false }
        : { found: null, why: `the Call resource was answered with HTTP ${answer.statusCode}` }
    }
    const parsed = callResource.safeParse(await answer.body.json())
    if (parsed.success) return { found: true, resource: parsed.data }
    const field = parsed.error.issues[0]?.path.join('.') || 'the whole'
    return { found: null, why: `the Call resource is not what Twilio documents: ${field}` }
  } catch (error) {
    return { found: null, why: `the Call resource could not be asked: ${failure(error)}` }
  }
}

/** The error's code or name alone: messages of network errors may carry addresses. */
function failure(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
