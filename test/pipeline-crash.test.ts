import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { lockCall } from '../src/calls/locks.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { callOf, chatAnswer, newWords, payloadsOf, reaches, type Stage, setStage, stepsOf } from './helpers/pipeline.ts'

const transcriptions = '/audio/transcriptions'
const chat = '/chat/completions'
const onceEach = { audio: 1, transcript: 1, summary: 1, extraction: 1 }

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
})

const workers: ChildProcess[] = []
afterEach(async () => {
  for (const worker of workers.splice(0)) await end(worker, 'SIGKILL')
})

/** The service's own entry, as it runs in production, with its own timings. */
function startWorker(): ChildProcess {
  const env = { PATH: process.env['PATH'], METRICS_PORT: '0', LOG_LEVEL: 'warn', ...stage.environment }
  const worker = spawn(process.execPath, ['src/cli.ts', 'start', 'worker'], { env, stdio: 'inherit' })
  workers.push(worker)
  return worker
}

async function end(worker: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  const ended = once(worker, 'exit')
  worker.kill(signal)
  await ended
}

describe('kill -9 of the worker', () => {
  test('in each step: the call goes on within 30 s, and no finished step is asked for again', async () => {
    const worker = startWorker()
    const { answers, requests } = stage.openai
    const hangs = (count: number) => eventually(`${count} requests hang`, () => answers.hanging >= count)

    const inAudio = await stage.record(newWords())
    stage.twilio.answers.queue(inAudio.recordingSid, 'hang')
    await eventually('the recording hangs', () => stage.twilio.answers.hanging === 1)

    answers.queue(transcriptions, 'hang')
    const inTranscript = await stage.record(newWords())
    await hangs(1)

    answers.queue(chat, 'hang')
    const inSummary = await stage.record(newWords())
    await hangs(2)

    const inExtraction = await stage.record(newWords())
    answers.queue(chat, chatAnswer(inExtraction.words.summary ?? ''), 'hang')
    await hangs(3)

    const inCompletion = await stage.record(newWords())
    const holding = await database.knex.transaction()
    await lockCall(holding, inCompletion.callSid)
    await untilSomebodyWaits(database, 'advisory')

    await end(worker, 'SIGKILL')
    const killedAt = requests.length
    await holding.rollback()
    const calls = [inAudio, inTranscript, inSummary, inExtraction, inCompletion]
    for (const call of calls) expect((await callOf(database, call)).state).toBe('processing')
    startWorker()
    await Promise.all(calls.map((call) => reaches(database, call, 'completed', 30_000)))

    expect(requests.length).toBeGreaterThan(killedAt)
    expect(stage.askedFor(inAudio)).toEqual({ ...onceEach, audio: 2 })
    expect(stage.askedFor(inTranscript)).toEqual({ ...onceEach, transcript: 2 })
    expect(stage.askedFor(inSummary)).toEqual({ ...onceEach, summary: 2 })
    expect(stage.askedFor(inExtraction)).toEqual({ ...onceEach, extraction: 2 })
    expect(stage.askedFor(inCompletion)).toEqual(onceEach)
    for (const call of calls) expect(await payloadsOf(database, call)).toHaveLength(1)
    expect((await stepsOf(database, inCompletion))['completion'].attempts).toBe(2)
  })
})

describe('SIGTERM', () => {
  test('lets a step end, hands its call back, and another worker goes on at once', async () => {
    const worker = startWorker()
    stage.openai.answers.queue(transcriptions, 'hang')
    const call = await stage.record(newWords())
    await eventually('the transcription hangs', () => stage.openai.answers.hanging === 1)
    const ended = end(worker, 'SIGTERM')
    await eventually('it is stopping', async () => worker.killed)
    stage.openai.answers.release({
      status: 200,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: call.words.transcript }),
    })
    await ended
    expect(worker.exitCode).toBe(0)
    const { rows } = await database.pool.query(
      'select state, start_after <= now() as due from callbox_jobs.job where singleton_key = $1',
      [call.callSid],
    )
    expect(rows).toEqual([{ state: 'created', due: true }])
    startWorker()
    await reaches(database, call, 'completed')
    expect(stage.askedFor(call)).toEqual(onceEach)
  })
})
