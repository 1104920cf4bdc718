import { describe, expect, onTestFinished, test } from 'vitest'
import { OverviewReader } from '../src/admin/overview-reader.ts'
import { openAiErrors } from '../src/demo/openai-errors.ts'
import { type Answer, jsonReply } from '../src/demo/scripted-answers.ts'
import { readModelChecks } from '../src/models/model-checks.ts'
import { createTestDatabase } from './helpers/database.ts'
import { metricValues } from './helpers/metric-values.ts'
import { setStage } from './helpers/pipeline.ts'

const database = await createTestDatabase()
const gauge = (use: string) => `callbox_model_shutdown_timestamp_seconds{use="${use}"}`
const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)

/** A worker that has asked about its models. */
async function asked(environment: Record<string, string> = {}, answer: Answer | null = null, timings = {}) {
  await database.knex('model_checks').withSchema('callbox').delete()
  const stage = await setStage(database)
  stage.openai.answers.always('/models', answer)
  for (const [name, days] of Object.entries({ 'lasts-59-days': 59, 'lasts-61-days': 61, 'is-over': -3 })) {
    stage.openai.models.set(name, { shutdownDate: inDays(days), fields: null, formats: [], efforts: [] })
  }
  const pipeline = await stage.start(environment, timings)
  onTestFinished(() => pipeline.stop())
  const questions = () => stage.openai.requests.flatMap((request) => ('model' in request ? [request.model] : []))
  await expect.poll(() => questions().length).toBeGreaterThanOrEqual(2)
  return { stage, pipeline, questions, checks: () => readModelChecks(database.knex) }
}

test('models that the service keeps are stored, without a warning', async () => {
  const { stage, questions, checks } = await asked()
  await expect.poll(checks).toMatchObject([
    { use: 'transcribe', model: 'gpt-transcribe', known: true, shutdownDate: null },
    { use: 'summary', model: 'gpt-6-luna', known: true, shutdownDate: null },
  ])
  expect(questions().sort()).toEqual(['gpt-6-luna', 'gpt-transcribe'])
  expect([...stage.loggedAs('model.unknown'), ...stage.loggedAs('model.shuts_down')]).toEqual([])
  const told = await metricValues(stage.metrics)
  expect([told[gauge('transcribe')], told[gauge('summary')]]).toEqual([undefined, undefined])
})

test('a model that shuts down within 60 days is logged, shown and measured', async () => {
  const { stage, checks } = await asked({ OPENAI_SUMMARY_MODEL: 'lasts-59-days' })
  await expect.poll(checks).toHaveLength(2)
  expect(stage.loggedAs('model.shuts_down')).toMatchObject([
    { level: 40, use: 'summary', model: 'lasts-59-days', shutdown_date: inDays(59), days: 59 },
  ])
  expect((await metricValues(stage.metrics))[gauge('summary')]).toBe(Date.parse(inDays(59)) / 1_000)
  const overview = await new OverviewReader(database.knex).read()
  expect(overview.models).toMatchObject([
    { use: 'transcribe', model: 'gpt-transcribe', known: true, shutdown_date: null },
    { use: 'summary', model: 'lasts-59-days', known: true, shutdown_date: inDays(59) },
  ])
  expect(overview.findings).toContainEqual({
    code: 'model_shuts_down',
    severity: 'warning',
    detail: `The model lasts-59-days shuts down on ${inDays(59)}, in 59 days. Set OPENAI_SUMMARY_MODEL to another.`,
  })
})

test('a date that is further away is in the metric, without a warning', async () => {
  const { stage, checks } = await asked({ OPENAI_SUMMARY_MODEL: 'lasts-61-days' })
  await expect.poll(checks).toHaveLength(2)
  expect(stage.loggedAs('model.shuts_down')).toEqual([])
  expect((await metricValues(stage.metrics))[gauge('summary')]).toBe(Date.parse(inDays(61)) / 1_000)
  const { findings } = await new OverviewReader(database.knex).read()
  expect(findings.map(({ code }) => code)).not.toContain('model_shuts_down')
})

test('a model that the service does not have is logged, shown and measured', async () => {
  const { stage, checks } = await asked({ OPENAI_TRANSCRIBE_MODEL: 'whisper-9' })
  await expect.poll(checks).toMatchObject([{ use: 'transcribe', model: 'whisper-9', known: false }, {}])
  expect(stage.loggedAs('model.unknown')).toMatchObject([{ level: 50, use: 'transcribe', model: 'whisper-9' }])
  expect((await metricValues(stage.metrics))[gauge('transcribe')]).toBe(0)
  const { findings } = await new OverviewReader(database.knex).read()
  expect(findings).toContainEqual(expect.objectContaining({ code: 'model_unknown', severity: 'trouble' }))
})

describe('a server without the route is fine:', () => {
  test.each<[string, Answer]>([
    ['OpenAI in form', openAiErrors.unknownUrl],
    ['FastAPI', jsonReply(404, { detail: 'Not Found' })],
    ['llama.cpp', jsonReply(404, { error: { code: 404, message: 'File Not Found', type: 'not_found_error' } })],
    ['Express', { status: 404, headers: { 'content-type': 'text/html' }, body: 'Cannot GET /v1/models/my-model' }],
    ['one that names the path', jsonReply(404, { error: { message: 'Not found: /v1/models/my-model not found' } })],
    ['without the method', jsonReply(405, { detail: 'Method Not Allowed' })],
    ['not implemented', { status: 501 }],
    ['something else', jsonReply(200, ['gpt-6-luna'])],
    ['a model without a date', jsonReply(200, { id: 'my-model', object: 'model' })],
    ['a date that is none', jsonReply(200, { id: 'my-model', shutdown_date: 'soon' })],
  ])('%s', async (_name, answer) => {
    const { stage, checks } = await asked({ OPENAI_SUMMARY_MODEL: 'my-model' }, answer)
    await expect.poll(checks).toMatchObject([{ shutdownDate: null }, { shutdownDate: null }])
    expect((await checks()).map(({ known }) => known)).not.toContain(false)
    expect([...stage.loggedAs('model.unknown'), ...stage.loggedAs('model.shuts_down')]).toEqual([])
    expect(await metricValues(stage.metrics)).not.toHaveProperty([gauge('summary')])
  })
})

test.each<[string, Answer]>([
  ['OpenAI', jsonReply(404, { error: { message: 'gone', type: 'invalid_request_error', code: 'model_not_found' } })],
  ['Ollama', jsonReply(404, { error: { message: "model 'my-model' not found", type: 'api_error', code: null } })],
  ['Speaches', jsonReply(404, { detail: "Model 'org/my-model' is not found" })],
  ['LiteLLM', jsonReply(400, { error: { message: 'Invalid model name', param: 'model', code: '400' } })],
])('an unknown model in the words of %s', async (_name, answer) => {
  const { stage, checks } = await asked({ OPENAI_SUMMARY_MODEL: 'my-model' }, answer)
  await expect.poll(checks).toMatchObject([{ known: false }, { known: false }])
  expect(stage.loggedAs('model.unknown')).toHaveLength(2)
})

test('a failed check is repeated, and the check of a former model is deleted', async () => {
  const { stage, checks } = await asked({ OPENAI_SUMMARY_MODEL: 'is-over' })
  await expect.poll(checks).toHaveLength(2)
  expect(stage.loggedAs('model.shuts_down')).toMatchObject([{ model: 'is-over' }])
  stage.openai.answers.always('/models', openAiErrors.serverError)
  const next = await stage.start()
  await expect.poll(checks).toMatchObject([{ use: 'transcribe', model: 'gpt-transcribe', known: true }])
  expect(stage.loggedAs('model.not_asked')).toContainEqual(expect.objectContaining({ use: 'summary', status: 500 }))
  stage.openai.answers.always('/models', null)
  await expect.poll(checks).toMatchObject([{}, { use: 'summary', model: 'gpt-6-luna', known: true }])
  await next.stop()
})

test('the service is asked again every day', async () => {
  const { stage, questions, checks } = await asked({}, null, { modelCheckMs: 200 })
  await expect.poll(() => questions().length).toBeGreaterThanOrEqual(6)
  stage.openai.models.delete('gpt-6-luna')
  await expect.poll(checks).toMatchObject([{}, { use: 'summary', known: false }])
})
