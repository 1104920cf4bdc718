import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import express from 'express'
import { pino } from 'pino'
import { lockBusinessesForChange } from '../../src/calls/locks.ts'
import { RecordingQueue } from '../../src/calls/recording-queue.ts'
import { reopenUnmatchedCallbacks } from '../../src/calls/unmatched-callbacks.ts'
import { readConfig } from '../../src/config.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { startLoopbackServer } from '../../src/demo/loopback-server.ts'
import type { TwilioCall } from '../../src/demo/twilio-call.ts'
import {
  type CallbackParams,
  callStatusParams,
  recordingStatusParams,
  signCallback,
} from '../../src/demo/twilio-callbacks.ts'
import { startTwilioStandIn, type TwilioStandIn } from '../../src/demo/twilio-stand-in.ts'
import type { CallbackKind } from '../../src/ingress/callback.ts'
import { CallbackIntake } from '../../src/ingress/callback-intake.ts'
import { createIngress, type Ingress } from '../../src/ingress/ingress.ts'
import { describeError, type Logger } from '../../src/telemetry/logger.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { atEnd } from './at-end.ts'
import { putBusiness } from './businesses.ts'
import type { TestDatabase } from './database.ts'
import { describedAnswers } from './described-answers.ts'
import { eventually } from './eventually.ts'

export const account = { accountSid: `AC${'a'.repeat(32)}`, authToken: 'first-auth-token' }
export const secondAuthToken = 'second-auth-token'
export const publicUrl = 'https://callbox.example'

let calls = 0
/** A call that nobody has heard of yet; its SIDs are new each time. */
export function newCall(given: Partial<TwilioCall> = {}): TwilioCall {
  calls++
  const hex = calls.toString(16).padStart(32, '0')
  return {
    callSid: `CA${hex}`,
    direction: 'inbound',
    from: '+972501234567',
    to: '+97237654321',
    startedAt: new Date('2025-12-10T14:23:19Z'),
    durationSec: 26,
    recordingSid: `RE${hex}`,
    ...given,
  }
}

export interface SentCallback {
  kind: CallbackKind
  params: CallbackParams
  /** After the `?`. */
  query?: string
}

/** A status callback of this call. @param status Twilio's; with a final one come the times. */
export function statusCallback(call: TwilioCall, status = 'completed'): SentCallback {
  const params = callStatusParams(account, { ...call, status })
  if (status !== 'completed') {
    delete params['CallDuration']
    delete params['Duration']
  }
  return { kind: 'call_status', params }
}

export interface CallbackAnswer {
  status: number
  type: string | null
  body: string
}

export interface IngressStage {
  ingress: Ingress
  /** Where it listens. */
  url: string
  twilio: TwilioStandIn
  metrics: Metrics
  intake: CallbackIntake
  /** CALLBOX_HOME. */
  home: string
  /** Every line logged so far, at all levels. */
  logged: string[]
  recordingCallback(call: TwilioCall, status?: string): SentCallback
  /** Signs (with the first token unless given) and posts. */
  post(callback: SentCallback, authToken?: string): Promise<CallbackAnswer>
  postAs(callback: SentCallback, headers: Record<string, string>, body?: string | Buffer): Promise<CallbackAnswer>
  close(): Promise<void>
}

/** The ingress on loopback as the API process runs it, with a real recording queue; it matches once it is started. */
export async function openIngress(
  database: Pick<TestDatabase, 'url' | 'knex'>,
  environment: Record<string, string> = {},
): Promise<IngressStage> {
  const twilio = await startTwilioStandIn(account)
  const config = readConfig({
    PUBLIC_URL: publicUrl,
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: `${account.authToken},${secondAuthToken}`,
    TWILIO_API_URL: twilio.url,
    ...environment,
  })
  const home = environment['CALLBOX_HOME'] ?? mkdtempSync(join(tmpdir(), 'callbox-ingress-'))
  const logged: string[] = []
  const log = capturingLogger(logged)
  const metrics = createMetrics()
  const queue = new RecordingQueue(database.url, defaultSchema, log)
  await queue.start()
  const intake = new CallbackIntake({ home, knex: database.knex, log })
  const ingress = createIngress({ config, knex: database.knex, queue, log, metrics, intake })
  await intake.start()
  const server = await startLoopbackServer(express().use(describedAnswers).use(ingress.router).use(ingress.strays))

  const postAs = async (callback: SentCallback, headers: Record<string, string>, body?: string | Buffer) => {
    const answer = await fetch(`${server.url}/webhook/${callback.kind}${callback.query ? `?${callback.query}` : ''}`, {
      method: 'POST',
      headers,
      body: body ?? new URLSearchParams(callback.params).toString(),
    })
    return { status: answer.status, type: answer.headers.get('content-type'), body: await answer.text() }
  }
  const stopAll = async (): Promise<void> => {
    await ingress.stop()
    await queue.stop()
    await server.close()
    await intake.stop()
    if (environment['CALLBOX_HOME'] === undefined) rmSync(home, { recursive: true, force: true })
    await twilio.close()
  }
  let closed: Promise<void> | undefined
  const close = () => {
    closed ??= stopAll()
    return closed
  }
  atEnd(close)
  return {
    ingress,
    url: server.url,
    twilio,
    metrics,
    logged,
    intake,
    home,
    recordingCallback: (call, status = 'completed') => {
      const params = { ...recordingStatusParams(account, call, twilio.url), RecordingStatus: status }
      return { kind: 'recording_status', params }
    },
    post: (callback, authToken = account.authToken) =>
      postAs(callback, signCallback(authToken, signedUrl(callback), callback.params).headers),
    postAs,
    close,
  }
}

/** The URL as it is configured at Twilio. */
export const signedUrl = ({ kind, query }: SentCallback): string =>
  `${publicUrl}/webhook/${kind}${query ? `?${query}` : ''}#rc=5&rp=all`

function capturingLogger(lines: string[]): Logger {
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  return pino({ level: 'trace', serializers: { err: describeError } }, stream)
}

/** Gives a business a number, as a PUT of the admin API does: stored callbacks are looked through again. */
export async function registerNumber(database: TestDatabase, businessId: string, phoneNumber: string): Promise<void> {
  await database.knex.transaction(async (trx) => {
    await lockBusinessesForChange(trx)
    await trx('callbox.phone_numbers').insert({ phone_number: phoneNumber, business_id: businessId })
    await reopenUnmatchedCallbacks(trx, businessId, [phoneNumber])
  })
}

export async function businessWithNumber(database: TestDatabase, businessId: string, phoneNumber: string) {
  await putBusiness(database, businessId, {})
  await registerNumber(database, businessId, phoneNumber)
}

export async function callbacksOf(database: TestDatabase, callSid: string) {
  const { rows } = await database.pool.query(
    `select kind, call_sid, parent_call_sid, state, reason, business_id, query, body
     from twilio_callbacks where call_sid = $1 order by id`,
    [callSid],
  )
  return rows
}

/** Waits until all callbacks of the call have been matched or called unmatched, and returns them. */
export async function settled(database: TestDatabase, callSid: string, count: number) {
  return await eventually(`${count} callbacks of ${callSid} are settled`, async () => {
    const rows = await callbacksOf(database, callSid)
    return rows.length === count && rows.every((row) => row.state !== 'new') && rows
  })
}

/** The records of a call, one for each business that has it, without what differs from run to run. */
export async function callsOf(database: TestDatabase, callSid: string) {
  const { rows } = await database.pool.query(
    `select business_id, direction, from_number, to_number, state, error, twilio_status, started_at, ended_at,
            duration_sec
     from callbox.calls where call_sid = $1`,
    [callSid],
  )
  return rows
}

/** The recordings of a call in the order in which they started, without what differs from run to run. */
export async function recordingsOf(database: TestDatabase, callSid: string) {
  const { rows } = await database.pool.query(
    `select recording_sid, state, error, url, source, channels, started_at, duration_sec
     from callbox.call_recordings where call_sid = $1 order by started_at nulls last, received_at`,
    [callSid],
  )
  return rows
}

export async function jobsOf(database: TestDatabase, callSid: string): Promise<unknown[]> {
  const { rows } = await database.pool.query('select data from callbox_jobs.job where singleton_key = $1', [callSid])
  return rows.map((row) => row.data)
}
