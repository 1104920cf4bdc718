import { Agent, request } from 'undici'
import { z } from 'zod'
import type { Config } from '../config.ts'

/** A whole request for a resource, its answer read, in milliseconds. */
const deadlineMs = 10_000
/** A Call resource is about 1.5 KB, and a list has at most {@link pageSize} of them. */
const maxAnswerBytes = 256 * 1024
/** How many legs of one call, or participants of one conference, are examined. */
const pageSize = 100

const agent = new Agent({ maxResponseSize: maxAnswerBytes, connect: { timeout: 5_000 } })

/** RFC 2822, as Twilio writes times; what is no time is unknown. */
export function parseTwilioTime(text: string): Date | null {
  const time = new Date(text)
  return Number.isNaN(time.getTime()) ? null : time
}

/** Whole seconds in decimal digits; what is none is unknown. */
export function parseTwilioSeconds(text: string): number | null {
  return /^\d{1,9}$/.test(text) ? Number(text) : null
}

const text = z
  .string()
  .nullish()
  .transform((value) => (value ?? '').replaceAll('\0', '').trim())
const sid = text.transform((value) => (/^\w{1,64}$/.test(value) ? value : ''))
const time = z
  .string()
  .nullish()
  .transform((value) => parseTwilioTime(value ?? ''))
const seconds = z
  .union([z.string(), z.number().transform(String)])
  .nullish()
  .transform((value) => parseTwilioSeconds(value ?? ''))

/** The fields of a Call resource that Callbox reads (Twilio's documentation, "Call Resource"). */
const callResource = z.object({
  sid,
  direction: text,
  from: text,
  to: text,
  status: text,
  parent_call_sid: sid,
  start_time: time,
  end_time: time,
  duration: seconds,
})

export type CallResource = z.infer<typeof callResource>

const callList = z.object({ calls: z.array(callResource) })
const recordingResource = z.object({ call_sid: sid, conference_sid: sid })
const conferenceResource = z.object({ call_sid_ending_conference: sid })
const participantList = z.object({ participants: z.array(z.object({ call_sid: sid })) })

/** `null`: not known now, and worth asking again; `why` is fit for a log line and for an operator's eyes. */
export type TwilioAnswer<T> = { found: true; value: T } | { found: false } | { found: null; why: string }

/** Who asks, and for which account; `''`: unknown, so `TWILIO_ACCOUNT_SID` is tried. */
export interface TwilioAsker {
  settings: Config['twilio']
  accountSid: string
  /** Ends the wait early, with an answer of "not known now". */
  signal?: AbortSignal | undefined
}

/**
 * The `Authorization` header for Twilio's API and its recordings; `null` without credentials. While tokens rotate
 * several verify callbacks, but the first one is what we sign in with. It opens the subaccounts too.
 */
export function twilioAuthorization(settings: Config['twilio']): string | null {
  const token = settings.authTokens[0]
  if (settings.accountSid === null || token === undefined) return null
  return `Basic ${Buffer.from(`${settings.accountSid}:${token}`).toString('base64')}`
}

/** The Call resource. Like all of these: one request, within 10 s, and never inside a transaction. */
export const fetchCall = (asker: TwilioAsker, callSid: string): Promise<TwilioAnswer<CallResource>> =>
  ask(asker, 'Call resource', `Calls/${encodeURIComponent(callSid)}.json`, callResource)

/** The legs that have `callSid` as their parent. */
export async function fetchLegs(asker: TwilioAsker, callSid: string): Promise<TwilioAnswer<CallResource[]>> {
  const query = new URLSearchParams({ ParentCallSid: callSid, PageSize: String(pageSize) })
  const answer = await ask(asker, 'list of legs', `Calls.json?${query}`, callList)
  if (answer.found !== true) return answer
  return {
    found: true,
    value: answer.value.calls.filter((call) => call.parent_call_sid === callSid && call.sid !== ''),
  }
}

/**
 * The calls that a recording without a CallSid is of: the one that its resource names, else all that took part in the
 * conference. Twilio lists participants only until they leave, but a conference that is over names the call that ended it.
 */
export async function fetchCallsOfRecording(
  asker: TwilioAsker,
  recordingSid: string,
  conferenceSid: string,
): Promise<TwilioAnswer<string[]>> {
  let conference = conferenceSid
  if (recordingSid !== '') {
    const path = `Recordings/${encodeURIComponent(recordingSid)}.json`
    const recording = await ask(asker, 'Recording resource', path, recordingResource)
    if (recording.found === null) return recording
    if (recording.found && recording.value.call_sid !== '') return { found: true, value: [recording.value.call_sid] }
    if (recording.found) conference ||= recording.value.conference_sid
  }
  if (conference === '') return { found: false }
  const path = `Conferences/${encodeURIComponent(conference)}`
  const list = await ask(
    asker,
    'list of participants',
    `${path}/Participants.json?PageSize=${pageSize}`,
    participantList,
  )
  if (list.found === null) return list
  const calls = list.found ? list.value.participants.map(({ call_sid }) => call_sid) : []
  if (!calls.some((callSid) => callSid !== '')) {
    const resource = await ask(asker, 'Conference resource', `${path}.json`, conferenceResource)
    if (resource.found === null) return resource
    if (resource.found) calls.push(resource.value.call_sid_ending_conference)
  }
  const known = [...new Set(calls)].filter((callSid) => callSid !== '')
  return known.length > 0 ? { found: true, value: known } : { found: false }
}

/** A 404 counts only from the account of the call; from another one it means nothing. */
async function ask<T>(
  { settings, accountSid, signal }: TwilioAsker,
  what: string,
  path: string,
  schema: z.ZodType<T>,
): Promise<TwilioAnswer<T>> {
  const authorization = twilioAuthorization(settings)
  if (authorization === null) return { found: null, why: 'TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is not set' }
  const account = encodeURIComponent(accountSid || (settings.accountSid ?? ''))
  const deadline = AbortSignal.timeout(deadlineMs)
  try {
    const answer = await request(`${settings.apiUrl}/2010-04-01/Accounts/${account}/${path}`, {
      dispatcher: agent,
      headers: { authorization, accept: 'application/json' },
      signal: signal ? AbortSignal.any([deadline, signal]) : deadline,
    })
    if (answer.statusCode !== 200) {
      await answer.body.dump()
      if (answer.statusCode !== 404)
        return { found: null, why: `the ${what} was answered with HTTP ${answer.statusCode}` }
      if (accountSid !== '') return { found: false }
      return {
        found: null,
        why: `the ${what} is not in the account of TWILIO_ACCOUNT_SID, and no callback named its own`,
      }
    }
    const parsed = schema.safeParse(await answer.body.json())
    if (parsed.success) return { found: true, value: parsed.data }
    const field = parsed.error.issues[0]?.path.join('.') || 'the whole'
    return { found: null, why: `the ${what} is not what Twilio documents: ${field}` }
  } catch (error) {
    return { found: null, why: `the ${what} could not be asked: ${failure(error)}` }
  }
}

/** The error's code or name alone: messages of network errors may carry addresses. */
function failure(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
