import { beforeAll, expect, test } from 'vitest'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { recordingAnswer } from '../src/demo/recording-answer.ts'
import { jsonReply } from '../src/demo/scripted-answers.ts'
import { atEnd } from './helpers/at-end.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { callOf, newWords, reaches, recordingUrl, type Stage, setStage, stepsOf } from './helpers/pipeline.ts'

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
})

test('a recording at a host that no setting names waits, says so, and is fetched once RECORDING_HOSTS names it', async () => {
  const audio = Buffer.from('recorded elsewhere')
  const asked: (string | undefined)[] = []
  const bucket = await startLoopbackServer((request, response) => {
    asked.push(request.headers.authorization)
    recordingAnswer(audio)(request, response)
  })
  atEnd(bucket.close)
  const pipeline = await stage.start()
  const url = recordingUrl(bucket.url, 'RE1')
  const direct = await stage.record(newWords(), { recording: { url } })
  const withUserinfo = url.replace('//', '//user:password@')
  const disguised = await stage.record(newWords(), { recording: { url: withUserinfo } })
  const redirected = await stage.record(newWords())
  stage.twilio.answers.always(redirected.recordingSid, { status: 302, headers: { location: url } })
  const calls = [direct, disguised, redirected]

  const host = `127.0.0.1:${bucket.port}`
  const error = `the recording is at ${host}, which is not TWILIO_API_URL's host: add it to RECORDING_HOSTS if it is yours`
  for (const call of calls) {
    await eventually('its step says so', async () => (await stepsOf(database, call))['audio']?.error === error)
    expect((await callOf(database, call)).state).toBe('processing')
  }
  expect(await stage.metrics.registry.metrics()).toMatch(/^callbox_pipeline_paused 1$/m)
  expect(stage.loggedAs('pipeline.paused')[0]).toMatchObject({ step: 'audio', error })
  expect(asked).toEqual([])
  await pipeline.stop()

  stage.openai.answers.always('/audio/transcriptions', {
    status: 200,
    body: '{"text":" "}',
    headers: { 'content-type': 'application/json' },
  })
  await stage.start({ RECORDING_HOSTS: host })
  for (const call of calls) expect(await reaches(database, call, 'completed')).toMatchObject({ error: null })
  expect(asked).toEqual([undefined, undefined, undefined])
})

test('an account that Twilio refuses fails no call', async () => {
  const call = await stage.record(newWords())
  stage.twilio.answers.always(call.recordingSid, { status: 401 })
  await eventually('it waits', async () =>
    (await stepsOf(database, call))['audio']?.error?.includes('TWILIO_AUTH_TOKEN'),
  )
  stage.twilio.answers.always(call.recordingSid, null)
  await reaches(database, call, 'completed')
})

test('a bucket that refuses one deleted recording holds up no other call', async () => {
  const database = await createTestDatabase()
  const stage = await setStage(database)
  const bucket = await startLoopbackServer((request, response) => {
    if (request.url?.includes('deleted')) response.writeHead(403).end()
    else recordingAnswer(Buffer.from('recorded elsewhere'))(request, response)
  })
  atEnd(bucket.close)
  stage.openai.answers.always('/audio/transcriptions', jsonReply(200, { text: ' ' }))
  await stage.start({ RECORDING_HOSTS: `127.0.0.1:${bucket.port}` })
  const refusedAgain = (callSid: string) =>
    stage.loggedAs('call.retry').filter(({ call_sid }) => call_sid === callSid).length
  const recordAt = (name: string) => stage.record(newWords(), { recording: { url: `${bucket.url}/${name}` } })
  const deleted = await recordAt('deleted')
  await eventually('it says so', async () => (await stepsOf(database, deleted))['audio']?.error?.includes('HTTP 403'))
  for (let i = 0; i < 4; i++) await reaches(database, await recordAt(`there-${i}`), 'completed')
  await eventually('it waits alone', () => refusedAgain(deleted.callSid) >= 2)
  const pauses = stage.loggedAs('pipeline.paused').length
  for (let i = 4; i < 8; i++) await reaches(database, await recordAt(`there-${i}`), 'completed')
  expect(stage.loggedAs('pipeline.paused')).toHaveLength(pauses)
  expect(await callOf(database, deleted)).toMatchObject({ state: 'processing', error: null })
  expect((await stepsOf(database, deleted))['audio'].error).toContain('HTTP 403 by 127.0.0.1')
})
