import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { CallFacts } from '../src/calls/call-facts.ts'
import { recordLeg } from '../src/calls/call-legs.ts'
import { updateCall } from '../src/calls/call-record.ts'
import { RecordingQueue } from '../src/calls/recording-queue.ts'
import { reprocess } from '../src/calls/reprocess.ts'
import { defaultSchema } from '../src/database/schema.ts'
import { openAiErrors } from '../src/demo/openai-errors.ts'
import { jsonReply, sendReply } from '../src/demo/scripted-answers.ts'
import { twilioNotFound } from '../src/demo/twilio-stand-in.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import {
  account,
  callOf,
  chatAnswer,
  newWords,
  openAiKey,
  payloadsOf,
  reaches,
  recordingUrl,
  type Stage,
  setStage,
  stepsOf,
} from './helpers/pipeline.ts'

const transcriptions = '/audio/transcriptions'
const chat = '/chat/completions'
const once = { audio: 1, transcript: 1, summary: 1, extraction: 1 }

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
  await stage.start()
})

const reprocessed = async (callSid: string) => {
  const queue = new RecordingQueue(database.url, defaultSchema, createLogger('silent', 'test'))
  await queue.start()
  const result = await database.knex.transaction((trx) => reprocess(trx, queue, callSid))
  await queue.stop()
  return result
}

describe('the recording', () => {
  test('is asked for again until Twilio has it', async () => {
    const call = await stage.record(newWords())
    stage.twilio.answers.queue(call.recordingSid, twilioNotFound, twilioNotFound, { status: 503 }, 'reset')
    await reaches(database, call, 'completed')
    expect(stage.askedFor(call)).toEqual({ ...once, audio: 5 })
    expect((await stepsOf(database, call))['audio']).toMatchObject({ attempts: 3, error: null })
  })

  test('that never comes fails its call in the end, and the call can be reprocessed', async () => {
    const call = await stage.record(newWords())
    stage.twilio.answers.always(call.recordingSid, twilioNotFound)
    const row = await reaches(database, call, 'failed')
    expect(row.error).toBe(
      'the recording was answered with HTTP 404 (given up after 12 tries). Reprocess the call if Twilio lists the recording',
    )
    expect((await stepsOf(database, call))['audio']).toMatchObject({
      attempts: 12,
      error: row.error,
      finished_at: null,
    })
    expect(stage.askedFor(call).audio).toBe(12)
    stage.twilio.answers.always(call.recordingSid, null)
    expect(await reprocessed(call.callSid)).toEqual({ result: 'queued', businessId: call.businessId })
    expect(await reaches(database, call, 'completed')).toMatchObject({ error: null, failed_at: null })
  })

  test('is followed to another place of the same host', async () => {
    const call = await stage.record(newWords())
    const moved = `${new URL(recordingUrl('http://twilio', call.recordingSid)).pathname}.mp3?moved`
    stage.twilio.answers.queue(call.recordingSid, { status: 307, headers: { location: moved } })
    await reaches(database, call, 'completed')
  })

  test('that is empty, too long, gone or nowhere fails its call', async () => {
    const empty = await stage.record(newWords())
    stage.twilio.answers.always(empty.recordingSid, { status: 200, body: '' })
    const long = await stage.record(newWords())
    stage.twilio.answers.always(long.recordingSid, { status: 200, body: Buffer.alloc(25 * 1024 * 1024 + 1) })
    const gone = await stage.record(newWords())
    stage.twilio.answers.always(gone.recordingSid, { status: 410 })
    const nowhere = await stage.record(newWords(), { recording: { url: 'nowhere' } })
    expect((await reaches(database, empty, 'failed')).error).toBe('the recording is empty')
    expect((await reaches(database, long, 'failed')).error).toBe(
      "the recording: got over 26214400 bytes; expected at most 26214400 with the upload's form",
    )
    expect((await reaches(database, gone, 'failed')).error).toBe('the recording was answered with HTTP 410')
    expect((await reaches(database, nowhere, 'failed')).error).toBe('the recording has no URL that can be read')
    expect(readdirSync(join(stage.home, 'audio'))).toEqual([])
  })
})

describe('the services', () => {
  test('are asked again when they are busy or down, and what was found is kept', async () => {
    const call = await stage.record(newWords())
    stage.openai.answers.queue(transcriptions, openAiErrors.rateLimited(1), 'reset', openAiErrors.serverError)
    await eventually('the transcript', async () => (await stepsOf(database, call))['summary']?.started_at)
    await reaches(database, call, 'completed')
    expect(stage.askedFor(call)).toEqual({ ...once, transcript: 4 })
    const [first, second] = stage.openai.requests.filter(
      (request) => 'transcription' in request && request.transcription.sha256 === call.sha256,
    )
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1_000)
    expect((await stepsOf(database, call))['transcript']).toMatchObject({ attempts: 2, error: null })
  })

  test('that refuse the audio fail the call; what is asked for is only what is missing when it is reprocessed', async () => {
    const call = await stage.record(newWords())
    stage.openai.answers.always(transcriptions, openAiErrors.badAudio)
    const row = await reaches(database, call, 'failed')
    stage.openai.answers.always(transcriptions, null)
    expect(row.error).toBe(
      'the transcription service answered HTTP 400 (invalid_request_error): the recording cannot be read: ' +
        'listen to it at Twilio, and reprocess the call if it plays (given up after 3 tries). ' +
        'The recording is at fault, not the settings',
    )
    expect((await stepsOf(database, call))['transcript']).toMatchObject({ error: row.error, finished_at: null })
    expect(await payloadsOf(database, call)).toEqual([])
    expect(await reprocessed(call.callSid)).toEqual({ result: 'queued', businessId: call.businessId })
    await reaches(database, call, 'completed')
    // Downloaded again for each try, and when the call was reprocessed.
    expect(stage.askedFor(call)).toEqual({ ...once, audio: 4, transcript: 4 })
    expect(await reprocessed(call.callSid)).toEqual({ result: 'queued', businessId: call.businessId })
    expect(await reprocessed('CAunknown')).toEqual({ result: 'not_found' })
    await reaches(database, call, 'completed')
    // A completed call is summarised again, from the transcripts that it has.
    expect(stage.askedFor(call)).toEqual({ audio: 4, transcript: 4, summary: 2, extraction: 2 })
    expect(await payloadsOf(database, call)).toHaveLength(1)
  })

  test('that give no answer of the form that was asked for fail the call after five tries', async () => {
    const call = await stage.record({ ...newWords(), summary: '' })
    const row = await reaches(database, call, 'failed')
    expect(row.error).toContain('the language model gave no answer of the form that was asked for')
    expect(stage.askedFor(call)).toMatchObject({ audio: 1, transcript: 1, summary: 15 })
  })

  test.each([
    ['a refused key', transcriptions, openAiErrors.badKey],
    ['an exhausted quota', chat, openAiErrors.quotaExhausted],
    ['an unknown model', chat, openAiErrors.unknownUrl],
  ])('%s pauses the queue, fails no call, and the queue goes on by itself', async (_name, path, refusal) => {
    const gauge = async () => (await stage.metrics.registry.metrics()).match(/^callbox_pipeline_paused (\d)$/m)?.[1]
    const pausesBefore = stage.loggedAs('pipeline.paused').length
    let [underWay, mostUnderWay, refused] = [0, 0, 0]
    stage.openai.answers.always(path, (_request, response) => {
      underWay++
      mostUnderWay = Math.max(mostUnderWay, underWay)
      setTimeout(() => {
        underWay--
        refused++
        sendReply(response, refusal)
      }, 50)
    })
    const calls = await Promise.all(Array.from({ length: 12 }, () => stage.record(newWords())))
    await eventually('the queue pauses', async () => (await gauge()) === '1')
    await eventually('what was under way is over', async () => {
      const { rows } = await database.pool.query(`select from callbox_jobs.job where state = 'active'`)
      return rows.length === 0
    })
    const before = refused
    mostUnderWay = 0
    await eventually('it is probed', () => refused >= before + 3)
    expect(mostUnderWay).toBe(1)
    const states = await Promise.all(calls.map((call) => callOf(database, call)))
    expect(states.every(({ state }) => state === 'queued' || state === 'processing')).toBe(true)
    expect(stage.loggedAs('pipeline.paused').length - pausesBefore).toBe(1)
    stage.openai.answers.always(path, null)
    for (const call of calls) await reaches(database, call, 'completed')
    expect(await gauge()).toBe('0')
    expect(stage.loggedAs('pipeline.resumed').length).toBeGreaterThan(0)
  })
})

describe('the end of the call', () => {
  const silent = { direction: null, twilio_status: '', started_at: null, ended_at: null, duration_sec: null }
  const outboundCall = {
    recordingSid: 'REany',
    direction: 'outbound-api',
    from: '+97237654321',
    to: '+972501234567',
    startedAt: new Date('2025-12-10T14:00:00Z'),
    durationSec: 40,
  }
  const stored = (secondsAgo: number) => ({ recording: { received_at: new Date(Date.now() - secondsAgo * 1_000) } })

  test('is waited for, and its callback is used when it comes', async () => {
    const call = await stage.record(newWords(), silent)
    await eventually('the facts are found', async () => (await stepsOf(database, call))['extraction']?.finished_at)
    await database.knex.transaction(async (trx) => {
      const facts: CallFacts = {
        direction: 'outbound',
        from: '+97237654321',
        to: '+972501234567',
        status: 'completed',
        endedAt: new Date('2025-12-10T15:00:30.400Z'),
        durationSec: 30,
      }
      await recordLeg(trx, { callSid: call.callSid, parentCallSid: null }, facts)
      await updateCall(trx, call)
    })
    await reaches(database, call, 'completed')
    const [payload = ''] = await payloadsOf(database, call)
    expect(JSON.parse(payload)).toMatchObject({
      direction: 'outbound',
      started_at: '2025-12-10T15:00:00Z',
      ended_at: '2025-12-10T15:00:30Z',
      duration_sec: 30,
    })
    expect(stage.twilio.requests.filter(({ sid }) => sid === call.callSid)).toEqual([])
  })

  test('is asked of the Call resource after a minute, again while Twilio is away', async () => {
    const call = await stage.record(newWords(), { ...silent, ...stored(61), from_number: '', to_number: '' })
    stage.twilio.addCall({
      callSid: call.callSid,
      recordingSid: call.recordingSid,
      direction: 'outbound-api',
      from: '+97237654321',
      to: '+972501234567',
      startedAt: new Date('2025-12-10T14:00:00Z'),
      durationSec: 40,
    })
    stage.twilio.answers.queue(call.callSid, { status: 500 }, 'reset')
    await reaches(database, call, 'completed')
    const [payload = ''] = await payloadsOf(database, call)
    expect(JSON.parse(payload)).toMatchObject({
      direction: 'outbound',
      phone: '+972501234567',
      started_at: '2025-12-10T14:00:00Z',
      ended_at: '2025-12-10T14:00:40Z',
      duration_sec: 40,
    })
    expect(stage.twilio.requests.filter(({ sid }) => sid === call.callSid)).toHaveLength(3)
  })

  test('comes from the recording when Twilio does not know the call', async () => {
    const call = await stage.record(newWords(), { ...silent, ...stored(61), direction: 'inbound' })
    await reaches(database, call, 'completed')
    const [payload = ''] = await payloadsOf(database, call)
    expect(JSON.parse(payload)).toMatchObject({
      direction: 'inbound',
      phone: '+972501234567',
      started_at: '2025-12-10T14:23:20Z',
      ended_at: '2025-12-10T14:23:44Z',
      duration_sec: 24,
    })
  })

  test('that Twilio does not tell does not hold a call whose direction is known', async () => {
    const call = await stage.record(newWords(), { ...silent, ...stored(61), direction: 'outbound' })
    stage.twilio.answers.always(call.callSid, { status: 500 })
    expect(await reaches(database, call, 'completed')).toMatchObject({ direction: 'outbound' })
  })

  test('without a direction fails the call when the account that has it does not know it: nothing is guessed', async () => {
    const call = await stage.record(newWords(), { ...silent, ...stored(61) })
    expect((await reaches(database, call, 'failed')).error).toBe(
      'the direction of the call is not known: Twilio knows no such call',
    )
    expect(await payloadsOf(database, call)).toEqual([])
  })

  test('is fetched from the subaccount of the call', async () => {
    const subaccount = `AC${'5'.repeat(32)}`
    const columns = { ...silent, ...stored(61), account_sid: subaccount, from_number: '', to_number: '' }
    const call = await stage.record(newWords(), columns)
    stage.twilio.addCall({ ...outboundCall, callSid: call.callSid, accountSid: subaccount })
    await reaches(database, call, 'completed')
    const [payload = ''] = await payloadsOf(database, call)
    expect(JSON.parse(payload)).toMatchObject({ direction: 'outbound', phone: '+972501234567' })
  })

  test('a 404 from another account than the call’s does not fail it', async () => {
    const call = await stage.record(newWords(), { ...silent, ...stored(61), account_sid: '' })
    const waiting = await eventually('it waits', async () => (await stepsOf(database, call))['completion']?.error)
    expect(waiting).toContain('is not in the account of TWILIO_ACCOUNT_SID')
    expect(await callOf(database, call)).toMatchObject({ direction: null, state: 'processing' })
    stage.twilio.addCall({ ...outboundCall, callSid: call.callSid })
    await reaches(database, call, 'completed')
  })

  test('a click-to-call has the customer on its other leg, even without a callback of that leg', async () => {
    const [ours, agent, customer] = ['+97237654321', '+972505550001', '+972505550002']
    const call = await stage.record(newWords(), { ...silent, ...stored(61), from_number: '', to_number: '' })
    const parent = { ...outboundCall, callSid: call.callSid, from: ours, to: agent }
    const leg = { ...parent, callSid: `${call.callSid}b`, direction: 'outbound-dial', to: customer }
    stage.twilio.addCall(parent)
    stage.twilio.addCall({ ...leg, parentCallSid: call.callSid })
    await reaches(database, call, 'completed')
    const [payload = ''] = await payloadsOf(database, call)
    expect(JSON.parse(payload)).toMatchObject({ direction: 'outbound', phone: customer })
  })

  test('with a direction that nobody knows fails the call', async () => {
    const call = await stage.record(newWords(), { ...silent, ...stored(61) })
    stage.twilio.answers.always(call.callSid, jsonReply(200, { direction: 'sideways', status: 'completed' }))
    expect((await reaches(database, call, 'failed')).error).toBe(
      'the direction of the call is not known: Twilio reports one that Callbox does not know',
    )
  })
})

test('the audio that is sent is the audio that was recorded', async () => {
  const call = await stage.record(newWords())
  const audio = Buffer.alloc(3_000_000, 'a recording of some length ')
  stage.twilio.addRecording(call.recordingSid, audio)
  stage.openai.answers.queue(transcriptions, jsonReply(200, { text: 'long' }))
  stage.openai.answers.queue(chat, chatAnswer('### long'))
  await reaches(database, call, 'completed')
  const sent = stage.openai.requests.findLast((request) => 'transcription' in request)
  expect(sent).toMatchObject({
    transcription: { bytes: audio.length, sha256: createHash('sha256').update(audio).digest('hex') },
  })
})

test('no phone number, secret or URL path is in a log line or in the error of a call or a step', async () => {
  const errors = await database.knex.raw(
    'select error from callbox.calls union all select error from callbox.call_steps',
  )
  const lines = JSON.stringify([stage.logged, errors.rows])
  expect(stage.loggedAs('call.failed').length).toBeGreaterThan(0)
  expect(stage.loggedAs('call.retry').length).toBeGreaterThan(0)
  for (const secret of ['972501234567', openAiKey, account.authToken, account.accountSid, '/Recordings', '/v1']) {
    expect(lines).not.toContain(secret)
  }
})
