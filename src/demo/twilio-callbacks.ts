import twilio from 'twilio/lib/webhooks/webhooks.js'
import { endOf, type TwilioAccount, type TwilioCall, twilioDate } from './twilio-call.ts'

export type CallbackParams = Record<string, string>

/** What Twilio posts to a `StatusCallback`; numbers, direction and times come with this callback alone. */
export function callStatusParams(account: TwilioAccount, call: TwilioCall): CallbackParams {
  return {
    AccountSid: call.accountSid ?? account.accountSid,
    ApiVersion: '2010-04-01',
    CallSid: call.callSid,
    ...(call.parentCallSid ? { ParentCallSid: call.parentCallSid } : {}),
    CallStatus: call.status ?? 'completed',
    CallDuration: String(call.durationSec),
    Duration: String(Math.ceil(call.durationSec / 60)),
    Direction: call.direction,
    From: call.from,
    Caller: call.from,
    To: call.to,
    Called: call.to,
    Timestamp: twilioDate(endOf(call)),
    CallbackSource: 'call-progress-events',
    SequenceNumber: '0',
  }
}

/**
 * What Twilio posts to a `RecordingStatusCallback`: no phone numbers.
 *
 * @param apiUrl where the recording is fetched from, such as `https://api.twilio.com`.
 */
export function recordingStatusParams(account: TwilioAccount, call: TwilioCall, apiUrl: string): CallbackParams {
  const accountSid = call.accountSid ?? account.accountSid
  return {
    AccountSid: accountSid,
    CallSid: call.callSid,
    RecordingSid: call.recordingSid,
    RecordingUrl: `${apiUrl}/2010-04-01/Accounts/${accountSid}/Recordings/${call.recordingSid}`,
    RecordingStatus: 'completed',
    RecordingDuration: String(call.durationSec),
    RecordingChannels: '1',
    RecordingStartTime: twilioDate(call.startedAt),
    RecordingSource: 'RecordVerb',
    RecordingTrack: 'both',
    ErrorCode: '0',
  }
}

/** A callback as it goes over the wire. */
export interface SignedCallback {
  url: string
  headers: Record<string, string>
  body: string
}

/**
 * Signs as Twilio does. Connection overrides (`#rc=5&rp=all`) are for Twilio itself: neither signed nor sent
 * (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides).
 */
export function signCallback(authToken: string, callbackUrl: string, params: CallbackParams): SignedCallback {
  const url = callbackUrl.replace(/#.*$/, '')
  return {
    url,
    headers: {
      'content-type': 'application/x-www-form-urlencoded; charset=UTF-8',
      'user-agent': 'TwilioProxy/1.1',
      'x-twilio-signature': twilio.getExpectedTwilioSignature(authToken, url, params),
    },
    body: new URLSearchParams(params).toString(),
  }
}

/**
 * Posts a signed callback.
 *
 * @param sendTo origin to connect to where it is not the signed one, as behind a reverse proxy.
 * @returns the status of the answer.
 * @throws TypeError when nobody answers; Error after 15 s, Twilio's own limit.
 */
export async function postCallback(
  authToken: string,
  callbackUrl: string,
  params: CallbackParams,
  sendTo?: string,
): Promise<number> {
  const signed = signCallback(authToken, callbackUrl, params)
  const { pathname, search } = new URL(signed.url)
  const response = await fetch(sendTo === undefined ? signed.url : `${sendTo}${pathname}${search}`, {
    method: 'POST',
    headers: signed.headers,
    body: signed.body,
    redirect: 'manual',
    signal: AbortSignal.timeout(15_000),
  })
  await response.arrayBuffer()
  return response.status
}
