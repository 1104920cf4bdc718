export interface TwilioAccount {
  accountSid: string
  authToken: string
}

/** One finished call, as Twilio knows it. */
export interface TwilioCall {
  callSid: string
  /** `inbound`, `outbound-api`, `outbound-dial`, `trunking-originating` or `trunking-terminating`. */
  direction: string
  /** E.164. */
  from: string
  /** E.164. */
  to: string
  startedAt: Date
  /** Whole seconds. */
  durationSec: number
  recordingSid: string
  parentCallSid?: string
  /** `completed` unless given: `busy`, `no-answer`, `failed`, `canceled`, `in-progress`, ... */
  status?: string
}

/** RFC 2822 in the form that Twilio writes: `Wed, 10 Dec 2025 14:23:19 +0000`. */
export const twilioDate = (date: Date): string => date.toUTCString().replace('GMT', '+0000')

export const endOf = (call: TwilioCall): Date => new Date(call.startedAt.getTime() + call.durationSec * 1000)

/** The Call resource of Twilio's REST API, version 2010-04-01 (https://www.twilio.com/docs/voice/api/call-resource). */
export function callResource(account: TwilioAccount, call: TwilioCall): Record<string, unknown> {
  const uri = `/2010-04-01/Accounts/${account.accountSid}/Calls/${call.callSid}`
  const ended = (call.status ?? 'completed') !== 'in-progress'
  return {
    sid: call.callSid,
    date_created: twilioDate(call.startedAt),
    date_updated: twilioDate(ended ? endOf(call) : call.startedAt),
    parent_call_sid: call.parentCallSid ?? null,
    account_sid: account.accountSid,
    to: call.to,
    to_formatted: call.to,
    from: call.from,
    from_formatted: call.from,
    phone_number_sid: null,
    status: call.status ?? 'completed',
    start_time: twilioDate(call.startedAt),
    end_time: ended ? twilioDate(endOf(call)) : null,
    duration: ended ? String(call.durationSec) : null,
    price: null,
    price_unit: 'USD',
    direction: call.direction,
    answered_by: null,
    api_version: '2010-04-01',
    forwarded_from: null,
    group_sid: null,
    caller_name: null,
    queue_time: '0',
    trunk_sid: null,
    uri: `${uri}.json`,
    subresource_uris: { recordings: `${uri}/Recordings.json`, events: `${uri}/Events.json` },
  }
}
