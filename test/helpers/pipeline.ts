import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { lockCall } from '../../src/calls/locks.ts'
import { RecordingQueue } from '../../src/calls/recording-queue.ts'
import { readConfig } from '../../src/config.ts'
import { HintSender } from '../../src/database/hints.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import {
  type OpenAiMind,
  type OpenAiRequest,
  type OpenAiStandIn,
  startOpenAiStandIn,
} from '../../src/demo/openai-stand-in.ts'
import { jsonReply } from '../../src/demo/scripted-answers.ts'
import { startTwilioStandIn, type TwilioStandIn } from '../../src/demo/twilio-stand-in.ts'
import { parseCallback } from '../../src/ingress/callback.ts'
import { applyRecording, type RecordingOutcome } from '../../src/ingress/recording.ts'
import { type Pipeline, startPipeline } from '../../src/pipeline/pipeline.ts'
import type { PipelineTimings } from '../../src/pipeline/timings.ts'
import { describeError } from '../../src/telemetry/logger.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { atEnd } from './at-end.ts'
import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'
import { judge } from './openapi.ts'

export const account = { accountSid: `AC${'b'.repeat(32)}`, authToken: 'pipeline-auth-token' }
export const openAiKey = 'sk-the-right-key'

/** What is said in a call and what there is to know of it. */
export interface Words {
  transcript: string
  summary?: string
  city?: string | null
  service_category?: string | null
}

let said = 0
/** Words that no other call has, so that requests can be told apart by them. */
export function newWords(): Words {
  said++
  return { transcript: `transcript ${said}`, summary: `### summary ${said}`, city: 'Haifa', service_category: 'rent' }
}

/** Understands the recordings that it was told about, and no other. */
class ReadingMind implements OpenAiMind {
  readonly #byHash = new Map<string, Words>()

  learn(sha256: string, words: Words): void {
    this.#byHash.set(sha256, words)
  }

  transcribe({ sha256 }: { sha256: string }): string | null {
    return this.#byHash.get(sha256)?.transcript ?? null
  }

  chat({ messages }: { messages: { text: string }[] }): unknown {
    const known = [...this.#byHash.values()]
    const material = messages.at(-1)?.text
    const inquiry = known.find(({ transcript }) => transcript === material)
    if (inquiry) return inquiry.summary ?? ''
    const words = known.find(({ summary }) => summary === material)
    return { city: words?.city ?? null, service_category: words?.service_category ?? null }
  }
}

export interface RecordedCall {
  businessId: string
  callSid: string
  recordingSid: string
  words: Words
  /** Of its audio. */
  sha256: string
}

/** How often each of the services was asked for a call. */
interface Asked {
  audio: number
  transcript: number
  summary: number
  extraction: number
}

/**
 * Columns of table `calls` that differ from those of the fixture's call, and of its recording's row in `recording`;
 * `null` and `''`: Twilio did not say.
 */
type CallColumns = Record<string, unknown>

const hashOf = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

export interface Stage {
  twilio: TwilioStandIn
  openai: OpenAiStandIn
  metrics: Metrics
  home: string
  /** The environment of a worker process on this stage. */
  environment: Record<string, string>
  /** Every line logged so far, parsed. */
  logged: Record<string, unknown>[]
  start(environment?: Record<string, string>, timings?: Partial<PipelineTimings>): Promise<Pipeline>
  /** A call as the ingress leaves it: recorded and queued, its job in the same transaction. */
  record(words: Words, columns?: CallColumns): Promise<RecordedCall>
  /** Another recording of the call, as its callback brings it in. @param params of Twilio that differ. */
  addRecording(
    call: Pick<RecordedCall, 'businessId' | 'callSid'>,
    words: Words,
    params?: Record<string, string>,
  ): Promise<RecordedCall & { outcome: RecordingOutcome }>
  /** The model's answer to a text that no recording has. */
  teach(words: Words): void
  askedFor(call: RecordedCall): Asked
  /** One log line in full for each event of this name. */
  loggedAs(event: string): Record<string, unknown>[]
}

let calls = 0

/** Twilio and OpenAI on loopback, and everything that a worker needs to run on `database`. */
export async function setStage(database: TestDatabase): Promise<Stage> {
  const mind = new ReadingMind()
  const twilio = await startTwilioStandIn(account)
  const openai = await startOpenAiStandIn(openAiKey, mind)
  const home = mkdtempSync(join(tmpdir(), 'callbox-pipeline-'))
  const logged: Record<string, unknown>[] = []
  const stream = new Writable({
    write(line, _encoding, written) {
      logged.push(JSON.parse(String(line)))
      written()
    },
  })
  const log = pino({ level: 'trace', serializers: { err: describeError } }, stream)
  const queue = new RecordingQueue(database.url, defaultSchema, log)
  await queue.start()
  const newRecording = (words: Words) => {
    const mp3 = randomBytes(1_000)
    const sha256 = hashOf(mp3)
    mind.learn(sha256, words)
    calls++
    const recordingSid = `RE${`${process.pid.toString(16)}${calls.toString(16).padStart(8, '0')}`.padStart(32, '0')}`
    twilio.addRecording(recordingSid, mp3)
    return { recordingSid, words, sha256 }
  }
  const running = new Set<Pipeline>()
  let started = 0
  const environment = {
    DATABASE_URL: database.url,
    CALLBOX_HOME: home,
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
    TWILIO_API_URL: twilio.url,
    OPENAI_API_KEY: openAiKey,
    OPENAI_BASE_URL: openai.baseUrl,
  }
  const metrics = createMetrics()
  atEnd(async () => {
    await Promise.all([...running].map((pipeline) => pipeline.stop()))
    await queue.stop()
    await twilio.close()
    await openai.close()
    rmSync(home, { recursive: true, force: true })
  })
  return {
    twilio,
    openai,
    metrics,
    home,
    environment,
    logged,
    async start(changed = {}, timings = {}) {
      const config = readConfig({ ...environment, ...changed })
      const pipeline = await startPipeline({
        config,
        databaseUrl: database.url,
        knex: database.knex,
        hints: new HintSender(database.pool, defaultSchema),
        log,
        metrics: started++ === 0 ? metrics : createMetrics(),
        timings: { ...shortTimings, ...timings },
      })
      const stoppable = {
        ...pipeline,
        stop: () => {
          running.delete(stoppable)
          return pipeline.stop()
        },
      }
      running.add(stoppable)
      return stoppable
    },
    async record(words, columns = {}) {
      const recording = newRecording(words)
      const { recording: changed, ...ofCall } = columns
      const businessId = String(ofCall['business_id'] ?? '10')
      const call = { businessId, callSid: recording.recordingSid.replace('RE', 'CA') }
      const key = { business_id: businessId, call_sid: call.callSid }
      await database.knex.transaction(async (trx) => {
        await trx('callbox.calls').insert({ ...fixtureCall, ...ofCall, ...key, state: 'queued' })
        await trx('callbox.call_recordings').insert({
          url: recordingUrl(twilio.url, recording.recordingSid),
          ...fixtureRecording,
          ...(changed as CallColumns | undefined),
          ...key,
          recording_sid: recording.recordingSid,
          state: 'waiting',
        })
        await queue.send(trx, call)
      })
      return { ...call, ...recording }
    },
    async addRecording(call, words, params = {}) {
      const recording = newRecording(words)
      const callback = parseCallback(
        new URLSearchParams({
          AccountSid: account.accountSid,
          CallSid: call.callSid,
          RecordingSid: recording.recordingSid,
          RecordingUrl: recordingUrl(twilio.url, recording.recordingSid),
          RecordingStatus: 'completed',
          ...params,
        }).toString(),
      )
      const settings = readConfig(environment).twilio
      const outcome = await database.knex.transaction(async (trx) => {
        await lockCall(trx, call.callSid)
        return applyRecording(trx, call, callback, { settings, queue })
      })
      return { ...call, ...recording, outcome }
    },
    teach: (words) => mind.learn(`text ${words.transcript}`, words),
    askedFor: ({ recordingSid, words, sha256 }) => {
      const material = (request: OpenAiRequest) => ('chat' in request ? request.chat.messages.at(-1)?.text : '')
      const count = (isOne: (request: OpenAiRequest) => boolean) => openai.requests.filter(isOne).length
      return {
        audio: twilio.requests.filter(({ sid }) => sid === recordingSid).length,
        transcript: count((request) => 'transcription' in request && request.transcription.sha256 === sha256),
        summary: count((request) => material(request) === words.transcript),
        extraction: count((request) => material(request) === words.summary),
      }
    },
    loggedAs: (event) => logged.filter((line) => line['event'] === event),
  }
}

export const recordingUrl = (origin: string, recordingSid: string): string =>
  `${origin}/2010-04-01/Accounts/${account.accountSid}/Recordings/${recordingSid}`

const shortTimings: PipelineTimings = {
  pollMs: 500,
  quickRetryMs: 10,
  firstBackoffMs: 50,
  longestBackoffMs: 400,
  statusPollMs: 100,
  probeMs: 500,
  modelCheckMs: 86_400_000,
  modelRecheckMs: 300,
  drainMs: 5_000,
}

/** The call of the contract's sample payload, as the ingress records it. */
const fixtureCall: CallColumns = {
  account_sid: account.accountSid,
  direction: 'inbound',
  from_number: '+972501234567',
  to_number: '+97237654321',
  twilio_status: 'completed',
  started_at: new Date('2025-12-10T14:23:19Z'),
  ended_at: new Date('2025-12-10T14:23:45Z'),
  duration_sec: 26,
}
const fixtureRecording = { started_at: new Date('2025-12-10T14:23:20Z'), duration_sec: 24 }

export const callOf = async (database: TestDatabase, { businessId, callSid }: RecordedCall) =>
  await database.knex('callbox.calls').where({ business_id: businessId, call_sid: callSid }).first()

export const recordingsOf = async (
  database: TestDatabase,
  { businessId, callSid }: Pick<RecordedCall, 'businessId' | 'callSid'>,
) =>
  await database
    .knex('callbox.call_recordings')
    .where({ business_id: businessId, call_sid: callSid })
    .orderByRaw('started_at nulls last, received_at')

export const stepsOf = async (database: TestDatabase, { businessId, callSid }: RecordedCall) => {
  const rows = await database.knex('callbox.call_steps').where({ business_id: businessId, call_sid: callSid })
  return Object.fromEntries(rows.map((row) => [row.step, row]))
}

/** The payload text of every outbox row of the call. @throws Error for one that the OpenAPI document does not describe. */
export async function payloadsOf(database: TestDatabase, { businessId, callSid }: RecordedCall): Promise<string[]> {
  const { rows } = await database.pool.query(
    'select payload::text from callbox.webhook_outbox where business_id = $1 and call_sid = $2',
    [businessId, callSid],
  )
  const payloads = rows.map((row) => String(row.payload))
  const complaints = payloads.map((payload) => judge.complaintAboutEvent(payload)).filter((one) => one !== null)
  if (complaints.length > 0) throw new Error(complaints.join('\n'))
  return payloads
}

/** Waits until the call is in this state, and returns its row. */
export async function reaches(database: TestDatabase, call: RecordedCall, state: string, withinMs = 30_000) {
  return await eventually(
    `${call.callSid} is ${state}`,
    async () => {
      const row = await callOf(database, call)
      return row?.state === state && row
    },
    withinMs,
  )
}

/** A chat completion with this text, for `answers.queue('/chat/completions', …)`. */
export const chatAnswer = (content: string) =>
  jsonReply(200, { choices: [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'stop' }] })
