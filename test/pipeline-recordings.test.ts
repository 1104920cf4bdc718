import { beforeAll, describe, expect, test } from 'vitest'
import { RecordingQueue } from '../src/calls/recording-queue.ts'
import { reprocess } from '../src/calls/reprocess.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { type Answer, jsonReply } from '../src/demo/scripted-answers.ts'
import { twilioNotFound } from '../src/demo/twilio-stand-in.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import {
  callOf,
  newWords,
  payloadsOf,
  type RecordedCall,
  reaches,
  recordingsOf,
  type Stage,
  setStage,
  type Words,
} from './helpers/pipeline.ts'

const transcriptions = '/audio/transcriptions'

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
})

const second = (secondsLater: number) => ({
  RecordingStartTime: new Date(Date.UTC(2025, 11, 10, 14, 23, 20 + secondsLater)).toUTCString(),
})

/** What OpenAI makes of the parts' joined words. */
function joined(...parts: Words[]): Words {
  const transcript = parts.map((part) => part.transcript).join('\n\n')
  const words = { ...newWords(), transcript }
  stage.teach(words)
  return words
}

const reprocessed = async ({ callSid }: RecordedCall) => {
  const queue = new RecordingQueue(database.url, defaultSchema, createLogger('silent', 'test'))
  await queue.start()
  const result = await database.knex.transaction((trx) => reprocess(trx, queue, callSid))
  await queue.stop()
  return result
}

const transcribed = (recording: RecordedCall) => stage.askedFor(recording).transcript

describe('the recordings of a call', () => {
  test('are transcribed in the order in which they started, whatever the order in which they came, and joined', async () => {
    const middle = newWords()
    const [first, last, unknown] = [newWords(), newWords(), newWords()]
    const call = await stage.record(middle)
    const parts = [
      await stage.addRecording(call, last, second(600)),
      await stage.addRecording(call, unknown, { RecordingStartTime: '' }),
      await stage.addRecording(call, first, second(-60)),
      await stage.addRecording(call, { transcript: ' ' }, second(30)),
    ]
    expect(parts.map(({ outcome }) => outcome)).toEqual(['added', 'added', 'added', 'added'])
    const words = joined(first, middle, last, unknown)
    await stage.start()
    const row = await reaches(database, call, 'completed')
    expect(row).toMatchObject({ transcript: words.transcript, summary: words.summary, error: null })
    const [payload = '', ...more] = await payloadsOf(database, call)
    expect(JSON.parse(payload)).toMatchObject({ transcript: words.transcript, summary: words.summary })
    expect(more).toEqual([])
    for (const recording of [call, ...parts]) expect(transcribed(recording)).toBe(1)
    expect(new Set((await recordingsOf(database, call)).map(({ state }) => state))).toEqual(new Set(['transcribed']))
  })

  test.each([
    ['empty', { status: 200, body: '' }],
    ['gone', { status: 410 }],
    ['never there', twilioNotFound],
    ['too large', { status: 200, body: Buffer.alloc(25 * 1024 * 1024 + 1) }],
  ])('one that is %s does not fail a call that has another, before or after it', async (_what, answer) => {
    for (const secondsLater of [-60, 60]) {
      const words = newWords()
      const call = await stage.record(words)
      const bad = await stage.addRecording(call, newWords(), second(secondsLater))
      stage.twilio.answers.always(bad.recordingSid, answer)
      expect(await reaches(database, call, 'completed')).toMatchObject({ transcript: words.transcript, error: null })
      expect(transcribed(call)).toBe(1)
      const rows = await recordingsOf(database, call)
      const states = rows.map(({ recording_sid, state }) => [recording_sid, state] as const)
      expect(new Map(states)).toEqual(
        new Map([
          [call.recordingSid, 'transcribed'],
          [bad.recordingSid, 'unusable'],
        ]),
      )
    }
  })

  test('one that comes after an unusable one resumes the failed call', async () => {
    const call = await stage.record(newWords())
    stage.twilio.answers.always(call.recordingSid, { status: 200, body: '' })
    await reaches(database, call, 'failed')
    const words = newWords()
    const good = await stage.addRecording(call, words, second(60))
    expect(good.outcome).toBe('queued')
    expect(await reaches(database, call, 'completed')).toMatchObject({ transcript: words.transcript, error: null })
    expect(await payloadsOf(database, call)).toHaveLength(1)
  })

  test('all unusable fail the call, and reprocess tries them again', async () => {
    const [one, two] = [newWords(), newWords()]
    const call = await stage.record(one)
    const other = await stage.addRecording(call, two, second(60))
    for (const sid of [call.recordingSid, other.recordingSid]) stage.twilio.answers.always(sid, { status: 410 })
    expect((await reaches(database, call, 'failed')).error).toBe('the recording was answered with HTTP 410')
    for (const sid of [call.recordingSid, other.recordingSid]) stage.twilio.answers.always(sid, null)
    const words = joined(one, two)
    expect(await reprocessed(call)).toMatchObject({ result: 'queued' })
    expect(await reaches(database, call, 'completed')).toMatchObject({ transcript: words.transcript })
  })

  test('one that comes while the others are worked on is in the transcript', async () => {
    const [one, two] = [newWords(), newWords()]
    const call = await stage.record(one)
    stage.openai.answers.queue('/chat/completions', 'hang')
    await eventually('the summary hangs', () => stage.openai.answers.hanging === 1)
    const words = joined(one, two)
    const late = await stage.addRecording(call, two, second(60))
    expect(late.outcome).toBe('added')
    stage.openai.answers.release({ status: 500 })
    expect(await reaches(database, call, 'completed')).toMatchObject({
      transcript: words.transcript,
      summary: words.summary,
    })
    expect([transcribed(call), transcribed(late)]).toEqual([1, 1])
    expect(await payloadsOf(database, call)).toHaveLength(1)
  })

  test('a transcript that is stored is not paid for again when the next one fails', async () => {
    const [one, two] = [newWords(), newWords()]
    const words = joined(one, two)
    stage.openai.answers.queue(
      transcriptions,
      jsonReply(200, { text: one.transcript }),
      ...Array<Answer>(4).fill({ status: 500 }),
    )
    const call = await stage.record(one)
    const other = await stage.addRecording(call, two, second(60))
    expect(await reaches(database, call, 'completed')).toMatchObject({ transcript: words.transcript })
    expect([transcribed(call), transcribed(other)]).toEqual([1, 5])
  })
})

test('a call still in progress a minute after its first recording waits for the others', async () => {
  const [one, two] = [newWords(), newWords()]
  const call = await stage.record(one, { twilio_status: '', recording: { received_at: new Date(Date.now() - 61_000) } })
  const leg = {
    ...{ callSid: call.callSid, recordingSid: call.recordingSid, direction: 'inbound' },
    ...{ from: '+972501234567', to: '+97237654321', startedAt: new Date('2025-12-10T14:23:19Z'), durationSec: 26 },
  }
  stage.twilio.addCall({ ...leg, status: 'in-progress' })
  const asked = () => stage.twilio.requests.filter(({ sid }) => sid === call.callSid).length
  await eventually('Twilio is asked again', () => asked() >= 2)
  expect((await callOf(database, call)).state).toBe('processing')
  const words = joined(one, two)
  await stage.addRecording(call, two, second(60))
  await database.pool.query(`update callbox.calls set twilio_status = 'completed' where call_sid = $1`, [call.callSid])
  expect(await reaches(database, call, 'completed')).toMatchObject({ transcript: words.transcript })
})

describe('a recording that comes after completion', () => {
  test('is kept, and reprocess includes it; no second event is sent', async () => {
    const [one, two] = [newWords(), newWords()]
    const call = await stage.record(one)
    const before = await reaches(database, call, 'completed')
    const payloads = await payloadsOf(database, call)
    const late = await stage.addRecording(call, two, second(60))
    expect(late.outcome).toBe('late')
    expect(await callOf(database, call)).toMatchObject({ state: 'completed', transcript: one.transcript })
    expect(await recordingsOf(database, call)).toMatchObject([{ state: 'transcribed' }, { state: 'waiting' }])

    const words = joined(one, two)
    expect(await reprocessed(call)).toMatchObject({ result: 'queued' })
    const after = await eventually('it is reprocessed', async () => {
      const row = await callOf(database, call)
      return row.state === 'completed' && row.transcript === words.transcript && row
    })
    expect(after).toMatchObject({ summary: words.summary, error: null, completed_at: before.completed_at })
    expect(await payloadsOf(database, call)).toEqual(payloads)
    expect([transcribed(call), transcribed(late)]).toEqual([1, 1])
    const { rows } = await database.pool.query('select from callbox.webhook_outbox where call_sid = $1', [call.callSid])
    expect(rows).toHaveLength(1)
  })

  test('a reprocess that fails leaves the call completed with its results, and says why', async () => {
    const words = newWords()
    const call = await stage.record(words)
    await reaches(database, call, 'completed')
    const retention = 'update callbox.call_recordings set transcript = null where call_sid = $1'
    await database.pool.query(retention, [call.callSid])
    stage.twilio.answers.always(call.recordingSid, { status: 410 })
    expect(await reprocessed(call)).toMatchObject({ result: 'queued' })
    const row = await eventually('it says why', async () => {
      const now = await callOf(database, call)
      return now.state === 'completed' && now.error !== null && now
    })
    expect(row).toMatchObject({ error: 'the recording was answered with HTTP 410', transcript: words.transcript })
    expect(await payloadsOf(database, call)).toHaveLength(1)
  })
})
