import { randomBytes } from 'node:crypto'
import type { Answer } from './scripted-answers.ts'
import { loadSpeech, type Speech, type SpeechName } from './speech.ts'
import type { TwilioCall } from './twilio-call.ts'

export interface DemoBusiness {
  id: string
  name: string
  phone: string
  language: string
  serviceCategories: string[]
  /** Paths at the receiver, by the setting that holds their URL. */
  endpoints: { inbound?: string; outbound?: string; generic?: string }
}

export interface DemoCall extends TwilioCall {
  number: number
  business: DemoBusiness
  /** What is special about it, in a few words. */
  story: string
  speech: Speech
  /** Twilio's callbacks in the order in which they are sent. */
  callbacks: ('status' | 'recording')[]
  details: { lead_id: string; customer_name: string; agent_name: string; metadata: Record<string, unknown> }
  /** Where the webhook must arrive; `null`: nowhere, it is to be skipped. */
  endpoint: string | null
}

const harbour: DemoBusiness = {
  id: '10',
  name: 'Harbour Homes',
  phone: '+12025550110',
  language: 'en',
  serviceCategories: ['Renting', 'Selling'],
  endpoints: { inbound: '/harbour-homes/inbound', outbound: '/harbour-homes/outbound' },
}
const north: DemoBusiness = {
  id: '11',
  name: 'North Realty',
  phone: '+12025550111',
  language: 'he',
  serviceCategories: ['שיווק נכס', 'השכרה'],
  endpoints: { inbound: '/north-realty' },
}
const handy: DemoBusiness = {
  id: '12',
  name: 'Handy Home',
  phone: '+12025550112',
  language: 'ar',
  serviceCategories: ['سباكة', 'كهرباء'],
  endpoints: { generic: '/handy-home' },
}
const smile: DemoBusiness = {
  id: '13',
  name: 'Bright Smile',
  phone: '+12025550113',
  language: 'en',
  serviceCategories: ['Appointment', 'Emergency'],
  endpoints: { outbound: '/bright-smile', generic: '/bright-smile/generic' },
}
const quiet: DemoBusiness = {
  id: '14',
  name: 'Quiet Office',
  phone: '+12025550114',
  language: 'en',
  serviceCategories: [],
  endpoints: {},
}

export const businesses: readonly DemoBusiness[] = [harbour, north, handy, smile, quiet]

/** What endpoints answer before they answer 200, by path. */
export const troubles: Readonly<Record<string, Answer[]>> = {
  [north.endpoints.inbound ?? '']: [{ status: 500, body: 'workflow failed' }, 'hang'],
}

/** The calls, ended just now, with SIDs of their own. */
export function callsOf(): DemoCall[] {
  const now = Date.now()
  let number = 0
  const call = (
    direction: 'inbound' | 'outbound',
    business: DemoBusiness,
    speechName: SpeechName,
    endpoint: string | undefined,
    callbacks: DemoCall['callbacks'],
    story: string,
  ): DemoCall => {
    number += 1
    const speech = loadSpeech(speechName)
    const customer = `+120255501${50 + number}`
    const inbound = direction === 'inbound'
    return {
      number,
      business,
      story,
      speech,
      callbacks,
      endpoint: endpoint ?? null,
      callSid: `CA${randomBytes(16).toString('hex')}`,
      recordingSid: `RE${randomBytes(16).toString('hex')}`,
      direction: inbound ? 'inbound' : 'outbound-api',
      from: inbound ? customer : business.phone,
      to: inbound ? business.phone : customer,
      startedAt: new Date(now - speech.duration_sec * 1000),
      durationSec: speech.duration_sec,
      details: {
        lead_id: String(100 + number),
        customer_name: number % 2 === 0 ? 'דנה כהן' : 'Sam Taylor',
        agent_name: 'Assistant',
        metadata: { demo: true },
      },
    }
  }
  return [
    call('inbound', harbour, 'flat-to-rent', harbour.endpoints.inbound, ['status', 'recording'], 'the plain case'),
    call(
      'inbound',
      north,
      'property-to-market',
      north.endpoints.inbound,
      ['status', 'recording'],
      'its endpoint answers 500, then not at all, then 200',
    ),
    call(
      'inbound',
      handy,
      'leaking-tap',
      handy.endpoints.generic,
      ['recording', 'status', 'recording', 'status', 'recording'],
      'Twilio sends its callbacks repeatedly and out of order',
    ),
    call(
      'outbound',
      handy,
      'leaking-tap',
      handy.endpoints.outbound,
      ['status', 'recording'],
      'has a generic URL only, which outbound calls never use',
    ),
    call(
      'outbound',
      smile,
      'reminder',
      smile.endpoints.outbound,
      ['recording', 'status'],
      'the recording is announced before the call has ended',
    ),
    call('inbound', quiet, 'reminder', undefined, ['status', 'recording'], 'has no URL at all'),
    call(
      'outbound',
      harbour,
      'flat-to-rent',
      harbour.endpoints.outbound,
      ['status', 'recording'],
      'goes to the URL for outbound calls',
    ),
  ]
}
