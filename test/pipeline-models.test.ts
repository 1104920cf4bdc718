import { beforeAll, expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { newWords, reaches, type Stage, setStage } from './helpers/pipeline.ts'

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
  await database.knex('businesses').insert({
    ...{ business_id: 77, signing_secret_sealed: Buffer.from('sealed'), language: 'he' },
  })
})

/** The requests made while a call was processed; the stand-in rejects parameters that its models do not support. */
async function askedWith(environment: Record<string, string>) {
  const before = stage.openai.requests.length
  const pipeline = await stage.start(environment)
  await reaches(database, await stage.record(newWords(), { business_id: 77 }), 'completed')
  await pipeline.stop()
  const requests = stage.openai.requests.slice(before)
  return {
    transcription: requests.flatMap((one) => ('transcription' in one ? [one.transcription] : [])),
    chat: requests.flatMap((one) => ('chat' in one ? [one.chat] : [])),
  }
}

test('models that are not named are those that OpenAI keeps', async () => {
  const asked = await askedWith({})
  expect(asked.transcription).toMatchObject([
    { model: 'gpt-transcribe', fields: ['languages[]'], languages: ['he'], responseFormat: 'json' },
  ])
  expect(asked.chat).toMatchObject([
    { model: 'gpt-6-luna', effort: 'none', schema: null },
    { model: 'gpt-6-luna', effort: 'none', schema: { type: 'object' } },
  ])
})

test.each(['whisper-1', 'gpt-4o-mini-transcribe'])('%s gets the language in its own parameter', async (model) => {
  const asked = await askedWith({ OPENAI_TRANSCRIBE_MODEL: model })
  expect(asked.transcription).toMatchObject([{ model, fields: ['language'], language: 'he', responseFormat: 'json' }])
})

test.each([
  ['gpt-6-luna', 'low', 'low'],
  ['gpt-6-luna', '', 'none'],
  ['gpt-6-astra', '', 'low'],
  ['gpt-6-astra', 'none', ''],
  ['gpt-5-mini', '', 'low'],
  ['gpt-5-mini', 'minimal', 'minimal'],
  ['gpt-5-mini', 'none', ''],
  ['gpt-4o-mini', '', ''],
  ['gpt-4o-mini', 'low', ''],
  ['a-model-of-ones-own', 'low', ''],
])('%s with OPENAI_REASONING_EFFORT "%s" is sent "%s"', async (model, wanted, sent) => {
  const known = stage.openai.models.get(model)
  if (known === undefined) {
    stage.openai.models.set(model, { shutdownDate: null, fields: null, formats: [], efforts: [] })
  }
  const asked = await askedWith({ OPENAI_SUMMARY_MODEL: model, OPENAI_REASONING_EFFORT: wanted })
  expect(asked.chat).toMatchObject([{ effort: sent }, { effort: sent }])
})

test('an unknown effort stops the start', () => {
  expect(() => readConfig({ OPENAI_REASONING_EFFORT: 'hardly' })).toThrow(
    'OPENAI_REASONING_EFFORT: got "hardly"; expected none, minimal, low, medium, high, xhigh, max',
  )
})
