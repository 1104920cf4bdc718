import fc from 'fast-check'
import { expect, test } from 'vitest'
import { jsonReply } from '../src/demo/scripted-answers.ts'
import { countUsage } from '../src/pipeline/model-usage.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { createTestDatabase } from './helpers/database.ts'
import { metricValues } from './helpers/metric-values.ts'
import { newWords, reaches, setStage } from './helpers/pipeline.ts'

const tokens = (step: string, kind: string) => `callbox_pipeline_tokens_total{step="${step}",kind="${kind}"}`

test('what the answers of the services cost is counted by step, that of answers that are of no use too', async () => {
  const database = await createTestDatabase()
  const stage = await setStage(database)
  await stage.start()
  const words = newWords()
  const usage = { prompt_tokens: 700, completion_tokens: 30, total_tokens: 730 }
  stage.openai.answers.queue(
    '/audio/transcriptions',
    jsonReply(200, { text: words.transcript, usage: { seconds: 26 } }),
  )
  stage.openai.answers.queue('/chat/completions', jsonReply(200, { choices: [], usage }))
  await reaches(database, await stage.record(words), 'completed')

  const told = await metricValues(stage.metrics)
  expect(told).toMatchObject({
    callbox_pipeline_audio_seconds_total: 26,
    'callbox_calls_completed_total{direction="inbound"}': 1,
    'callbox_calls_completed_total{direction="outbound"}': 0,
    'callbox_pipeline_jobs_total{step="completion",result="ok"}': 1,
    'callbox_pipeline_jobs_total{step="completion",result="failed"}': 0,
    // The stand-in's usual answers say 1 and 1.
    [tokens('summary', 'input')]: 701,
    [tokens('summary', 'output')]: 31,
    [tokens('extraction', 'input')]: 1,
    [tokens('extraction', 'output')]: 1,
  })
  expect(told).not.toHaveProperty([tokens('transcript', 'input')])
})

test('a transcription that is billed by tokens counts as tokens', async () => {
  const metrics = createMetrics()
  countUsage(metrics, 'transcript', { type: 'tokens', input_tokens: 90, output_tokens: 12, total_tokens: 102 })
  expect(await metricValues(metrics)).toMatchObject({
    callbox_pipeline_audio_seconds_total: 0,
    [tokens('transcript', 'input')]: 90,
    [tokens('transcript', 'output')]: 12,
  })
})

test('whatever a server tells of its usage, nothing breaks and no counter goes astray', async () => {
  const metrics = createMetrics()
  const amount = fc.oneof(fc.double(), fc.integer(), fc.string(), fc.constant(null), fc.object())
  const usage = fc.record(
    { seconds: amount, input_tokens: amount, output_tokens: amount, prompt_tokens: amount, completion_tokens: amount },
    { requiredKeys: [] },
  )
  fc.assert(fc.property(fc.oneof(usage, fc.anything()), (told) => countUsage(metrics, 'summary', told)))
  for (const [series, value] of Object.entries(await metricValues(metrics))) {
    expect([series, Number.isFinite(value) && value >= 0]).toEqual([series, true])
  }
})
