export interface TwilioAccount {
  accountSid: string
  authToken: string
}

/** One finished call, as Twilio knows it. */
export interface TwilioCall {
  callSid: string
  /** `inbound`, `outbound-api`, `outbound-dial`, `trunking-originating` or `trunking-terminating`. */
  direction: string
  /** E.164, `client:…` or `sip:…`. */
  from: string
  /** E.164, `client:…` or `sip:…`. */
  to: string
  startedAt: Date
  /** Whole seconds. */
  durationSec: number
  recordingSid: string
  parentCallSid?: string
  /** The subaccount that has it; the main account unless given. */
  accountSid?: string
  /** `completed` unless given: `busy`, `no-answer`, `failed`, `canceled`, `in-progress`, ... */
  status?: string
}

/** RFC 2822 in the form that Twilio writes: `Wed, 10 Dec 2025 14:23:19 +0000`. */
export const twilioDate = (date: Date): string => date.toUTCString().replace('GMT', '+0000')

export const endOf = (call: TwilioCall): Date => new Date(call.startedAt.getTime() + call.durationSec * 1000)

/** The Call resource of Twilio's REST API, version 2010-04-01 (https://www.twilio.com/docs/voice/api/call-resource). */
export function callResource(account: TwilioAccount, call: TwilioCall): Record<string, unknown> {
  const accountSid = call.accountSid ?? account.accountSid
  const uri = `/2010-04-01/Accounts/${accountSid}/Calls/${call.callSid}`
  const ended = (call.status ?? 'completed') !== 'in-progress'
  return {
    sid: call.callSid,
    date_created: twilioDate(call.startedAt),
    date_updated: twilioDate(ended ? endOf(call) : call.startedAt),
    parent_call_sid: call.parentCallSid ?? null,
    account_sid: accountSid,
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

/** A conference and who is in it. Twilio lists participants only as long as they are. */
export interface TwilioConference {
  conferenceSid: string
  /** CallSids. */
  participants: string[]
  /** Once it is over. */
  callSidEndingConference?: string
  accountSid?: string
}

/** The Conference resource (https://www.twilio.com/docs/voice/api/conference-resource). */
export function conferenceResource(account: TwilioAccount, conference: TwilioConference): Record<string, unknown> {
  return {
    sid: conference.conferenceSid,
    account_sid: conference.accountSid ?? account.accountSid,
    friendly_name: 'room',
    status: conference.callSidEndingConference ? 'completed' : 'in-progress',
    call_sid_ending_conference: conference.callSidEndingConference ?? null,
  }
}
