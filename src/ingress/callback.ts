import { parse } from 'node:querystring'
import { z } from 'zod'
import { type CallFacts, directionOf, isFinalStatus } from '../calls/call-facts.ts'
import { parseTwilioSeconds, parseTwilioTime } from '../calls/twilio-api.ts'

export type CallbackKind = 'call_status' | 'recording_status'

/** A parameter may be missing or given twice (the first counts); a NUL is nothing that PostgreSQL keeps in text. */
const text = z
  .union([z.string(), z.array(z.string()).transform((values) => values[0] ?? '')])
  .default('')
  .transform((value) => value.replaceAll('\0', '').trim())

/** SIDs are two letters and 32 hex digits; all that is relied on is that they are short and harmless. */
const sid = text.transform((value) => (/^\w{1,64}$/.test(value) ? value : ''))
const address = text.transform((value) => value.slice(0, 255))

/** The parameters that Callbox reads (Twilio's documentation, "Call Resource" and "Recording status callbacks"). */
const parameters = z.object({
  AccountSid: sid,
  CallSid: sid,
  ParentCallSid: sid,
  Direction: text,
  From: address,
  To: address,
  CallStatus: text,
  Timestamp: text.transform(parseTwilioTime),
  CallDuration: text.transform(parseTwilioSeconds),
  /** For a conference's recording, which names no CallSid. */
  ConferenceSid: sid,
  RecordingSid: sid,
  RecordingUrl: text,
  RecordingStatus: text,
  RecordingStartTime: text.transform(parseTwilioTime),
  RecordingDuration: text.transform(parseTwilioSeconds),
  RecordingSource: text.transform((value) => value.slice(0, 64)),
  RecordingChannels: text.transform((value) => (/^[1-9]$/.test(value) ? Number(value) : null)),
  ErrorCode: text,
})

/** What a callback says; what it does not say, or not in a form that can be used, is `''` or `null`. */
export type Callback = z.infer<typeof parameters>

/** All parameters of a body or a query, as they are signed. */
export function parseForm(form: string) {
  return parse(form, '&', '=', { maxKeys: 0 })
}

export function parseCallback(body: string): Callback {
  return parameters.parse({ ...parseForm(body) })
}

/** What a status callback says about its leg. */
export function factsOfCallback(callback: Callback): CallFacts {
  const final = isFinalStatus(callback.CallStatus)
  return {
    direction: directionOf(callback.Direction),
    from: callback.From,
    to: callback.To,
    status: callback.CallStatus,
    endedAt: final ? callback.Timestamp : null,
    durationSec: final ? callback.CallDuration : null,
  }
}

const maxBusinessId = 2n ** 63n - 1n

/** The `business_id` of the signed URL: `null` without one; `invalid` if it is not one positive bigint, as it is written. */
export function businessIdOfUrl(query: string): string | null | 'invalid' {
  const given = parseForm(query)['business_id']
  if (given === undefined) return null
  if (typeof given !== 'string' || !/^[1-9]\d{0,18}$/.test(given)) return 'invalid'
  const id = BigInt(given)
  return id <= maxBusinessId ? id.toString() : 'invalid'
}
