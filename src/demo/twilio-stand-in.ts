import type { IncomingMessage } from 'node:http'
import { Ledger } from './ledger.ts'
import { type LoopbackServer, startLoopbackServer } from './loopback-server.ts'
import { type Answer, jsonReply, ScriptedAnswers } from './scripted-answers.ts'
import { callResource, type TwilioAccount, type TwilioCall } from './twilio-call.ts'

export interface TwilioRequest {
  method: string
  path: string
  /** The RE… or CA… of the path, or `''`. */
  sid: string
  /** Milliseconds since the epoch. */
  at: number
  authorized: boolean
}

/** Twilio's REST API in so far as Callbox uses it: recordings as mp3 and the Call resource, behind basic auth. */
export interface TwilioStandIn extends LoopbackServer {
  account: TwilioAccount
  requests: readonly TwilioRequest[]
  addRecording(recordingSid: string, mp3: Buffer): void
  addCall(call: TwilioCall): void
  /** Answers by SID (RE… or CA…) instead of the usual one, such as `twilioNotFound` while a recording is not ready. */
  answers: ScriptedAnswers
}

/** @param port 0: any free port. */
export async function startTwilioStandIn(account: TwilioAccount, port = 0): Promise<TwilioStandIn> {
  const recordings = new Map<string, Buffer>()
  const calls = new Map<string, TwilioCall>()
  const answers = new ScriptedAnswers()
  const ledger = new Ledger<TwilioRequest>()
  const root = `/2010-04-01/Accounts/${account.accountSid}`

  const usualAnswer = (path: string): Answer => {
    const [, recordingSid = ''] = path.match(/\/Recordings\/(RE\w+)\.mp3$/) ?? []
    const [, callSid = ''] = path.match(/\/Calls\/(CA\w+)\.json$/) ?? []
    const recording = recordings.get(recordingSid)
    const call = calls.get(callSid)
    if (recording) return { status: 200, headers: { 'content-type': 'audio/mpeg' }, body: recording }
    if (call) return jsonReply(200, callResource(account, call))
    return twilioNotFound
  }

  const server = await startLoopbackServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://twilio').pathname
    const sid = path.match(/\/((?:RE|CA)\w+)\.\w+$/)?.[1] ?? ''
    const authorized = path.startsWith(`${root}/`) && isAuthorized(request, account)
    ledger.add({ method: request.method ?? '', path, sid, at: Date.now(), authorized })
    const answer = authorized ? (answers.next(sid) ?? usualAnswer(path)) : twilioUnauthorized
    answers.give(request.method === 'GET' ? answer : twilioNotFound, request, response)
  }, port)

  return {
    ...server,
    account,
    answers,
    requests: ledger.entries,
    addRecording: (recordingSid, mp3) => void recordings.set(recordingSid, mp3),
    addCall: (call) => void calls.set(call.callSid, call),
  }
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
