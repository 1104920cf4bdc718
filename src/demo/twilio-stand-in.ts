import type { IncomingMessage } from 'node:http'
import { Ledger } from './ledger.ts'
import { type LoopbackServer, startLoopbackServer } from './loopback-server.ts'
import { recordingAnswer } from './recording-answer.ts'
import { type Answer, jsonReply, ScriptedAnswers } from './scripted-answers.ts'
import {
  callResource,
  conferenceResource,
  type TwilioAccount,
  type TwilioCall,
  type TwilioConference,
} from './twilio-call.ts'

export interface TwilioRequest {
  method: string
  path: string
  /** The RE…, CA… or CF… of the path, or `''`. */
  sid: string
  query: string
  /** Milliseconds since the epoch. */
  at: number
  authorized: boolean
}

/**
 * Twilio's REST API in so far as Callbox uses it: recordings, calls with their legs and conferences, behind basic auth.
 * The main account's credentials open its subaccounts; each resource is known under its own account alone.
 */
export interface TwilioStandIn extends LoopbackServer {
  account: TwilioAccount
  requests: readonly TwilioRequest[]
  addRecording(recordingSid: string, mp3: Buffer): void
  addCall(call: TwilioCall): void
  addConference(conference: TwilioConference): void
  /** What a recording belongs to, for its resource; without it only the audio exists. */
  addRecordingOf(recordingSid: string, of: { callSid: string | null; conferenceSid: string | null }): void
  /** Answers by SID (RE…, CA… or CF…) instead of the usual one, such as `twilioNotFound` while a recording is not ready. */
  answers: ScriptedAnswers
}

/** @param port 0: any free port. */
export async function startTwilioStandIn(account: TwilioAccount, port = 0): Promise<TwilioStandIn> {
  const recordings = new Map<string, Buffer>()
  const calls = new Map<string, TwilioCall>()
  const answers = new ScriptedAnswers()
  const ledger = new Ledger<TwilioRequest>()
  const conferences = new Map<string, TwilioConference>()
  const recordingsOf = new Map<string, { callSid: string | null; conferenceSid: string | null }>()
  const isAt = (accountSid: string, of: { accountSid?: string }): boolean =>
    (of.accountSid ?? account.accountSid) === accountSid

  const usualAnswer = ({ accountSid, resource, sid, part }: Place, query: URLSearchParams): Answer => {
    const recording = recordings.get(sid)
    if (resource === 'Recordings' && recording && part === '.mp3') return recordingAnswer(recording)
    const of = recordingsOf.get(sid)
    if (resource === 'Recordings' && of && part === '.json') {
      return jsonReply(200, { sid, account_sid: accountSid, call_sid: of.callSid, conference_sid: of.conferenceSid })
    }
    const call = calls.get(sid)
    if (resource === 'Calls' && call && isAt(accountSid, call)) return jsonReply(200, callResource(account, call))
    const conference = conferences.get(sid)
    if (resource === 'Conferences' && conference && isAt(accountSid, conference)) {
      if (part === '.json') return jsonReply(200, conferenceResource(account, conference))
      const participants = conference.participants.map((callSid) => ({ call_sid: callSid, conference_sid: sid }))
      return jsonReply(200, { participants, next_page_uri: null })
    }
    if (resource !== 'Calls' || sid !== '') return twilioNotFound
    const legs = [...calls.values()].filter((one) => isAt(accountSid, one))
    const wanted = legs.filter(({ parentCallSid }) => parentCallSid === query.get('ParentCallSid'))
    return jsonReply(200, { calls: wanted.map((one) => callResource(account, one)), next_page_uri: null })
  }

  const server = await startLoopbackServer((request, response) => {
    const { pathname: path, searchParams } = new URL(request.url ?? '/', 'http://twilio')
    const place = placeOf(path)
    const authorized = place !== null && isAuthorized(request, account)
    const sid = place?.sid ?? ''
    ledger.add({ method: request.method ?? '', path, sid, query: searchParams.toString(), at: Date.now(), authorized })
    const answer = authorized ? (answers.next(sid) ?? usualAnswer(place, searchParams)) : twilioUnauthorized
    answers.give(request.method === 'GET' ? answer : twilioNotFound, request, response)
  }, port)

  return {
    ...server,
    account,
    answers,
    requests: ledger.entries,
    addRecording: (recordingSid, mp3) => void recordings.set(recordingSid, mp3),
    addCall: (call) => void calls.set(call.callSid, call),
    addConference: (conference) => void conferences.set(conference.conferenceSid, conference),
    addRecordingOf: (recordingSid, of) => void recordingsOf.set(recordingSid, of),
  }
}

interface Place {
  accountSid: string
  resource: string
  /** `''`: the list of all. */
  sid: string
  /** What follows the SID: `.json`, `.mp3` or `/Participants.json`. */
  part: string
}

function placeOf(path: string): Place | null {
  const [, accountSid = '', resource = '', sid = '', part = ''] =
    path.match(/^\/2010-04-01\/Accounts\/(AC\w+)\/(Calls|Recordings|Conferences)(?:\/(\w+))?(.*)$/) ?? []
  return resource === '' ? null : { accountSid, resource, sid, part }
}

function isAuthorized(request: IncomingMessage, account: TwilioAccount): boolean {
  const credentials = Buffer.from(`${account.accountSid}:${account.authToken}`).toString('base64')
  return request.headers.authorization === `Basic ${credentials}`
}

const twilioError = (status: number, code: number, message: string): Answer =>
  jsonReply(status, { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status })

/** What Twilio says of a recording that is not there, or not there yet. */
export const twilioNotFound = twilioError(404, 20404, 'The requested resource was not found')
const twilioUnauthorized = twilioError(401, 20003, 'Authenticate')
