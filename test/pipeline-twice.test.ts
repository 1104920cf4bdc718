import { beforeAll, expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { AudioFiles } from '../src/pipeline/audio-files.ts'
import { ModelRequests } from '../src/pipeline/model-requests.ts'
import { OpenAiService } from '../src/pipeline/openai-service.ts'
import { Pause } from '../src/pipeline/pause.ts'
import { runCall } from '../src/pipeline/run-call.ts'
import { ServiceHold } from '../src/pipeline/service-hold.ts'
import { pipelineTimings } from '../src/pipeline/timings.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { newWords, payloadsOf, reaches, type Stage, setStage, stepsOf } from './helpers/pipeline.ts'

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
})

/** One run of a call past pg-boss, as a worker does that was frozen and has lost its claim without knowing. */
function runOnce(job: { businessId: string; callSid: string }) {
  const config = readConfig(stage.environment)
  const { openai: settings } = config
  const metrics = createMetrics()
  const log = createLogger('silent', 'test')
  const pause = new Pause(database.knex, log, metrics, () => undefined)
  const hold = new ServiceHold(settings, database.knex, log, 10)
  const requests = new ModelRequests({ settings, pause, hold, quickRetryMs: 10 })
  const parts = {
    knex: database.knex,
    config,
    openai: new OpenAiService(settings, requests, metrics),
    audioFiles: new AudioFiles(config.home),
    log,
    pause,
    metrics,
    timings: pipelineTimings,
  }
  const never = new AbortController().signal
  return runCall(parts, job, { stopping: never, aborted: never })
}

test('two runs at once in every step: one completion, one delivery, and both go on with the same results', async () => {
  await new AudioFiles(stage.home).prepare()
  const call = await stage.record(newWords())
  const ends = await Promise.all([runOnce(call), runOnce(call), runOnce(call)])
  expect(ends.filter(({ kind }) => kind === 'completed')).toHaveLength(1)
  expect(ends.filter(({ kind }) => kind === 'over')).toHaveLength(2)
  expect(await payloadsOf(database, call)).toHaveLength(1)
  expect((await stepsOf(database, call))['completion'].finished_at).not.toBeNull()
})

test('a run that was overtaken uses what the other one committed', async () => {
  const call = await stage.record(newWords())
  stage.openai.answers.queue('/audio/transcriptions', 'hang')
  const overtaken = runOnce(call)
  await eventually('the first run hangs', () => stage.openai.answers.hanging === 1)
  stage.openai.answers.queue('/chat/completions', 'hang')
  const overtaking = runOnce(call)
  await eventually('the second run hangs', () => stage.openai.answers.hanging === 2)
  const body = { text: 'another transcript', choices: [{ message: { content: call.words.summary } }] }
  stage.openai.answers.release({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const ends = await Promise.all([overtaken, overtaking])
  expect(ends.map(({ kind }) => kind).sort()).toEqual(['completed', 'over'])
  const row = await reaches(database, call, 'completed')
  expect(row.transcript).toBe(call.words.transcript)
  expect(await payloadsOf(database, call)).toHaveLength(1)
})

test('two jobs of one call at once: one of them works, the other finds nothing to do', async () => {
  await stage.start()
  const call = await stage.record(newWords())
  await database.knex.raw(
    `insert into callbox_jobs.job (name, data, singleton_key, policy, heartbeat_seconds, expire_seconds)
     select name, data, singleton_key, policy, heartbeat_seconds, expire_seconds
     from callbox_jobs.job, generate_series(1, 5) where singleton_key = ?`,
    [call.callSid],
  )
  await reaches(database, call, 'completed')
  await eventually('all six jobs are done', async () => {
    const { rows } = await database.pool.query(
      `select from callbox_jobs.job where singleton_key = $1 and state < 'completed'`,
      [call.callSid],
    )
    return rows.length === 0
  })
  expect(stage.askedFor(call)).toEqual({ audio: 1, transcript: 1, summary: 1, extraction: 1 })
  expect(await payloadsOf(database, call)).toHaveLength(1)
})
