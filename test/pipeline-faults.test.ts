import { beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { badParameter, badRequest, openAiErrors } from '../src/demo/openai-errors.ts'
import type { OpenAiRequest } from '../src/demo/openai-stand-in.ts'
import { jsonReply, type Reply } from '../src/demo/scripted-answers.ts'
import { welcomeMs } from '../src/pipeline/service-hold.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { metricValues } from './helpers/metric-values.ts'
import {
  callOf,
  chatAnswer,
  newWords,
  payloadsOf,
  type RecordedCall,
  reaches,
  type Stage,
  setStage,
  stepsOf,
} from './helpers/pipeline.ts'

const transcriptions = '/audio/transcriptions'
const chat = '/chat/completions'
const once = { audio: 1, transcript: 1, summary: 1, extraction: 1 }

let database: TestDatabase
let stage: Stage
const set = async (): Promise<void> => {
  database = await createTestDatabase()
  stage = await setStage(database)
}
const setAndStart = async (): Promise<void> => {
  await set()
  await stage.start()
}

const payloadOf = async (call: RecordedCall): Promise<Record<string, unknown>> =>
  JSON.parse((await payloadsOf(database, call))[0] ?? '')
const formatOf = (request: OpenAiRequest): string => ('chat' in request ? request.chat.format : '')
const hintOf = (request: OpenAiRequest): string =>
  'transcription' in request ? request.transcription.language || request.transcription.languages.join() : ''
const page = (status: number): Reply => ({
  status,
  headers: { 'content-type': 'text/html' },
  body: `<html><head><title>${status}</title></head><body><center>nginx</center></body></html>`,
})
const fastApi = (...loc: string[]): Reply =>
  jsonReply(422, { detail: [{ type: 'enum', loc, msg: "Input should be 'text'", input: 'x' }] })

describe('a server that does not take response_format', () => {
  beforeEach(setAndStart)
  const jsonSchema = "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model"
  const extractions = () =>
    stage.openai.requests.filter(
      (request) => 'chat' in request && request.chat.messages.at(-1)?.text.startsWith('### '),
    )

  test.each<[string, Reply, string]>([
    ['json_schema, by its parameter', badParameter('response_format', 'invalid_value', 'no'), 'json_object'],
    ['json_schema, by its path', badParameter('response_format.type', 'invalid_value', 'no'), 'json_object'],
    ['json_schema, in words', badRequest(jsonSchema), 'json_object'],
    [
      'json_schema, with a 500 about the grammar',
      jsonReply(500, { error: { message: 'Failed to parse grammar' } }),
      'json_object',
    ],
    ['json_schema, without an explanation', badRequest('Bad request'), 'json_object'],
    ['any JSON, as FastAPI', fastApi('body', 'response_format', 'type'), 'text'],
  ])('%s: is asked in another way, and is not asked in vain again', async (_name, refusal, accepted) => {
    const refused = accepted === 'text' ? ['json_schema', 'json_object'] : ['json_schema']
    stage.openai.refuse = (request) => (refused.includes(formatOf(request)) ? refusal : null)
    const first = await stage.record(newWords())
    await reaches(database, first, 'completed')
    expect(await payloadOf(first)).toMatchObject({ city: 'Haifa', service_category: 'rent' })
    expect(extractions().map(formatOf)).toEqual([...refused, accepted])
    const last = extractions().at(-1)
    expect(last && 'chat' in last && last.chat.messages[0]?.text).toMatch(/one JSON object.*"service_category"/)
    await reaches(database, await stage.record(newWords()), 'completed')
    expect(extractions().map(formatOf)).toEqual([...refused, accepted, accepted])
    expect(stage.loggedAs('call.retry')).toEqual([])
  })

  test('nor anything else: calls wait, and the parameter is named', async () => {
    stage.openai.refuse = (request) => {
      const isExtraction = extractions().includes(request)
      return isExtraction ? badParameter('response_format', 'invalid_value', 'no') : null
    }
    const call = await stage.record(newWords())
    await eventually('the queue pauses', () => stage.loggedAs('pipeline.paused').length > 0)
    expect(stage.loggedAs('pipeline.paused')[0]).toMatchObject({
      step: 'extraction',
      error: expect.stringContaining('HTTP 400 (invalid_value, parameter response_format)'),
    })
    expect(extractions().slice(0, 3).map(formatOf)).toEqual(['json_schema', 'json_object', 'text'])
    stage.openai.refuse = () => null
    await reaches(database, call, 'completed')
  })
})

describe('a language that the service rejects', () => {
  beforeEach(set)
  const business = async (id: string, language: string): Promise<void> => {
    await database
      .knex('callbox.businesses')
      .insert({ business_id: id, language, signing_secret_sealed: Buffer.from('') })
  }

  test.each<[string, string, Reply]>([
    ['language', 'whisper-1', badParameter('language', 'invalid_language_format', 'no')],
    ['languages', 'gpt-transcribe', badParameter('languages', 'invalid_value', 'no')],
    ['an entry of languages', 'gpt-transcribe', badParameter('languages[0]', 'invalid_value', 'no')],
    ['no parameter', 'whisper-1', badRequest("Language 'nb' is not supported.")],
    ['no parameter and no explanation', 'whisper-1', badRequest('Bad request')],
    ['FastAPI', 'whisper-1', fastApi('body', 'language')],
  ])('%s: is left out, and said once for the business', async (_name, model, refusal) => {
    await stage.start({ OPENAI_TRANSCRIBE_MODEL: model })
    stage.openai.refuse = (request) => (hintOf(request) === 'nb' ? refusal : null)
    await business('47', 'nb')
    await business('48', 'nb')
    await business('49', 'sv')
    const first = await stage.record(newWords(), { business_id: '47' })
    await reaches(database, first, 'completed')
    expect(stage.askedFor(first)).toEqual({ ...once, transcript: 2 })
    const others = [
      await stage.record(newWords(), { business_id: '47' }),
      await stage.record(newWords(), { business_id: '48' }),
    ]
    const swedish = await stage.record(newWords(), { business_id: '49' })
    for (const call of [...others, swedish]) {
      await reaches(database, call, 'completed')
      expect(stage.askedFor(call)).toEqual(once)
    }
    expect(
      stage.openai.requests
        .filter((request) => 'transcription' in request)
        .map(hintOf)
        .sort(),
    ).toEqual(['', '', '', 'nb', 'sv'])
    const said = stage.loggedAs('language.rejected').map(({ business_id, language }) => [business_id, language])
    expect(said.sort()).toEqual([
      ['47', 'nb'],
      ['48', 'nb'],
    ])
    const noted = await database.knex('callbox.businesses').orderBy('business_id').pluck('rejected_language')
    expect(noted).toEqual(['nb', 'nb', ''])
  })
})

describe('wrong settings', () => {
  beforeAll(setAndStart)

  test.each<[string, string, Reply, RegExp]>([
    ['400 model_not_found', transcriptions, badParameter('', 'model_not_found', 'no'), /OPENAI_TRANSCRIBE_MODEL/],
    [
      '422 with param model',
      chat,
      jsonReply(422, { error: { message: 'no', param: 'model' } }),
      /OPENAI_SUMMARY_MODEL/,
    ],
    ["a proxy's 413", transcriptions, page(413), /client_max_body_size/],
    ["a proxy's 400", transcriptions, page(400), /OPENAI_BASE_URL/],
    ['a bare 415', transcriptions, { status: 415 }, /OPENAI_BASE_URL/],
    ['405', chat, { status: 405 }, /OPENAI_BASE_URL/],
    ['407', chat, page(407), /a proxy requires authentication/],
    ['451', chat, page(451), /not offered from here/],
    ['FastAPI 422', transcriptions, fastApi('body', 'model'), /OPENAI_TRANSCRIBE_MODEL/],
    ['a web page', chat, page(200), /OPENAI_BASE_URL/],
    [
      'a web page that calls itself JSON',
      transcriptions,
      { ...page(200), headers: { 'content-type': 'application/json' } },
      /OPENAI_BASE_URL/,
    ],
    [
      'a 200 with an error about credit',
      chat,
      jsonReply(200, { error: { code: 402, message: 'no credits' } }),
      /add credit/,
    ],
    [
      'a 200 with an error about the model',
      transcriptions,
      jsonReply(200, { error: "model 'x' not found" }),
      /OPENAI_TRANSCRIBE_MODEL/,
    ],
  ])(
    '%s: the queue pauses and says what to do, and the calls go on when it is set right',
    async (_name, path, refusal, advice) => {
      stage.openai.answers.always(path, refusal)
      const pausesBefore = stage.loggedAs('pipeline.paused').length
      const calls = [await stage.record(newWords()), await stage.record(newWords()), await stage.record(newWords())]
      await eventually('the queue pauses', () => stage.loggedAs('pipeline.paused').length > pausesBefore)
      expect(stage.loggedAs('pipeline.paused').at(-1)).toMatchObject({ error: expect.stringMatching(advice) })
      expect((await metricValues(stage.metrics))['callbox_pipeline_paused']).toBe(1)
      const step = path === chat ? 'summary' : 'transcript'
      await eventually('an error is shown', async () =>
        (await stepsOf(database, calls[0] as RecordedCall))[step]?.error?.match(advice),
      )
      stage.openai.answers.always(path, null)
      for (const call of calls) await reaches(database, call, 'completed')
      expect((await metricValues(stage.metrics))['callbox_pipeline_paused']).toBe(0)
      expect(stage.loggedAs('call.failed')).toEqual([])
    },
  )

  test('a call that is refused on its own does not hold up others, and waits for as long as it takes', async () => {
    const long = await stage.record(newWords())
    let refusals = 0
    stage.openai.refuse = (request) => {
      if (!('transcription' in request) || request.transcription.sha256 !== long.sha256) return null
      refusals++
      return page(413)
    }
    await eventually('the queue pauses', () => refusals > 0)
    for (let i = 0; i < 4; i++) await reaches(database, await stage.record(newWords()), 'completed')
    await eventually('it is refused again and again', () => refusals > 4)
    const pausesBefore = stage.loggedAs('pipeline.paused').length
    for (let i = 0; i < 4; i++) await reaches(database, await stage.record(newWords()), 'completed')
    expect(stage.loggedAs('pipeline.paused')).toHaveLength(pausesBefore)
    expect((await metricValues(stage.metrics))['callbox_pipeline_paused']).toBe(0)
    expect((await callOf(database, long))?.state).toBe('processing')
    expect((await stepsOf(database, long))['transcript'].error).toContain('client_max_body_size')
    stage.openai.refuse = () => null
    await reaches(database, long, 'completed')
  })
})

test('a request that cannot be built is a matter of settings: calls wait, and the error says where to look', async () => {
  await set()
  // The client of OpenAI puts it into a header.
  vi.stubEnv('OPENAI_ORG_ID', 'org-\u2026')
  onTestFinished(() => {
    vi.unstubAllEnvs()
  })
  const pipeline = await stage.start()
  const call = await stage.record(newWords())
  await eventually('the queue pauses', () => stage.loggedAs('pipeline.paused').length > 0)
  expect(stage.loggedAs('pipeline.paused')[0]).toMatchObject({
    error: expect.stringContaining('look for stray characters in OPENAI_API_KEY'),
  })
  expect(stage.openai.requests).toEqual([])
  await pipeline.stop()
  vi.unstubAllEnvs()
  await stage.start()
  await reaches(database, call, 'completed')
})

describe('a transcript that is longer than the model takes', () => {
  beforeAll(setAndStart)
  const words = Array.from({ length: 4_000 }, (_, place) => `word${place}`)
  const long = `the beginning ${words.join(' ')} the end`
  const textOf = (request: OpenAiRequest | undefined, place: number): string =>
    request !== undefined && 'chat' in request ? (request.chat.messages.at(place)?.text ?? '') : ''

  test.each<[string, Reply, number]>([
    [
      'in tokens, as OpenAI says it',
      badParameter(
        'messages',
        'context_length_exceeded',
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 10240 tokens.",
      ),
      0.64,
    ],
    ['in tokens, the other way round', badRequest('prompt is too long: 200,000 tokens > 100,000 maximum'), 0.4],
    ['without numbers', badRequest('Please reduce the length of the messages.'), 0.25],
  ])('%s: is shortened in the middle, and the prompt says so', async (_name, refusal, share) => {
    const before = stage.openai.requests.length
    stage.openai.refuse = (request) => (textOf(request, -1) === long ? refusal : null)
    stage.openai.answers.queue(chat, chatAnswer('### of a long call'))
    const call = await stage.record({ transcript: long })
    await reaches(database, call, 'completed')
    expect(await payloadOf(call)).toMatchObject({ transcript: long, summary: '### of a long call' })
    const [first, second, ...others] = stage.openai.requests
      .slice(before)
      .filter((request) => textOf(request, 0).startsWith('You write the record'))
    expect(others).toEqual([])
    expect(textOf(first, 0)).not.toContain('left out')
    const sent = textOf(second, -1)
    expect(sent).toMatch(/^the beginning .*\n\[…\]\n.*the end$/s)
    expect(sent.length / long.length).toBeCloseTo(share, 2)
    const leftOut = long.length - sent.replace('\n[…]\n', '').length
    expect(textOf(second, 0)).toContain(`${leftOut} of its ${long.length} characters are left out in the middle`)
  })

  test('even when it is shortened: fails, and the error says what to do', async () => {
    stage.openai.refuse = (request) =>
      textOf(request, 0).startsWith('You write the record') ? badRequest('Please reduce the length.') : null
    const asked = stage.openai.requests.length
    const call = await stage.record({ transcript: long })
    expect((await reaches(database, call, 'failed')).error).toContain(
      'set OPENAI_SUMMARY_MODEL to one that accepts more',
    )
    // The transcription, the whole and the shortened transcript.
    expect(stage.openai.requests).toHaveLength(asked + 3)
  })
})

describe('the audio', () => {
  beforeAll(setAndStart)

  test('is downloaded again before the call fails', async () => {
    const call = await stage.record(newWords())
    stage.openai.answers.queue(transcriptions, badRequest("Invalid file format. Supported formats: ['flac', 'mp3']"))
    await reaches(database, call, 'completed')
    expect(stage.askedFor(call)).toEqual({ ...once, audio: 2, transcript: 2 })
  })

  test('that was damaged in transit is replaced by a new download', async () => {
    const call = await stage.record(newWords())
    stage.twilio.answers.queue(call.recordingSid, { status: 200, body: 'damaged' })
    await reaches(database, call, 'completed')
    expect(await payloadOf(call)).toMatchObject({ transcript: call.words.transcript })
    expect(stage.askedFor(call)).toEqual({ ...once, audio: 2 })
  })

  test('is downloaded again for an error that comes as 200', async () => {
    const call = await stage.record(newWords())
    stage.openai.answers.queue(transcriptions, jsonReply(200, { error: 'failed to read audio data' }))
    await reaches(database, call, 'completed')
    expect(stage.askedFor(call)).toEqual({ ...once, audio: 2, transcript: 2 })
  })

  test.each<[string, Reply]>([
    ['audio_too_short', badParameter('file', 'audio_too_short', 'Audio file is too short.')],
    ['too short, in words', badRequest('Audio file is too short. Minimum audio length is 0.1 seconds.')],
    ['no speech', jsonReply(422, { detail: 'No speech detected' })],
  ])('%s: is delivered with nothing said, and no model is paid for it', async (_name, silence) => {
    const call = await stage.record(newWords())
    stage.openai.answers.queue(transcriptions, silence)
    const asked = stage.openai.requests.length
    await reaches(database, call, 'completed')
    expect(await payloadOf(call)).toMatchObject({ transcript: '', summary: '', city: '', service_category: '' })
    expect(stage.openai.requests).toHaveLength(asked + 1)
  })

  test('that is too long fails its call immediately, and the error says what to do', async () => {
    const call = await stage.record(newWords())
    stage.openai.answers.queue(transcriptions, badRequest('audio duration 1500 seconds is longer than 1400 seconds'))
    expect((await reaches(database, call, 'failed')).error).toContain(
      'set OPENAI_TRANSCRIBE_MODEL to one that accepts more',
    )
  })
})

describe('a rate limit', () => {
  beforeEach(setAndStart)

  test('with Retry-After: nothing is asked until then, in no step and by no other worker', async () => {
    // One call is in its summary when the rate of the transcription is limited.
    stage.openai.answers.queue(chat, 'hang')
    const first = await stage.record(newWords())
    await eventually('the summary hangs', () => stage.openai.answers.hanging === 1)
    const heardAt = Date.now()
    await stage.start()
    await eventually('nothing is known of the service', () => Date.now() > heardAt + welcomeMs)
    stage.openai.answers.always(transcriptions, openAiErrors.rateLimited(4))
    const limitedAt = Date.now()
    const calls = await Promise.all(Array.from({ length: 12 }, () => stage.record(newWords())))
    await eventually('the limit is met', () => stage.loggedAs('pipeline.held').length > 0)
    stage.openai.answers.always(transcriptions, null)
    const reply = chatAnswer(first.words.summary ?? '')
    stage.openai.answers.release(reply)
    for (const call of [...calls, first]) await reaches(database, call, 'completed')
    const early = stage.openai.requests.filter(({ at }) => at > limitedAt && at < limitedAt + 4_000)
    // One request ahead of each worker's burst.
    expect(early.length).toBeLessThanOrEqual(2)
    expect(stage.loggedAs('call.failed')).toEqual([])
    for (const call of calls) expect(stage.askedFor(call).summary).toBe(1)
  })

  test('that lasts: its calls wait longer and longer, show why, and do not fail', async () => {
    stage.openai.answers.always(transcriptions, jsonReply(429, { error: { message: 'slow down' } }))
    const call = await stage.record(newWords())
    await eventually('six holds', () => stage.loggedAs('pipeline.held').length >= 6)
    const waits = stage.loggedAs('pipeline.held').map(({ wait_ms }) => Number(wait_ms))
    expect(waits.slice(0, 6)).toEqual([10, 20, 40, 80, 160, 320])
    expect((await stepsOf(database, call))['transcript'].error).toMatch(/HTTP 429|limits its rate/)
    stage.openai.answers.always(transcriptions, null)
    await reaches(database, call, 'completed')
  })
})

test('an outage does not use up the tries of an answer that cannot be used', async () => {
  await setAndStart()
  const call = await stage.record(newWords())
  stage.openai.answers.queue(
    chat,
    ...Array.from({ length: 18 }, () => openAiErrors.serverError),
    ...Array.from({ length: 4 }, () => chatAnswer('')),
  )
  await reaches(database, call, 'completed')
})
