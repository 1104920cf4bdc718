import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import {
  callOf,
  chatAnswer,
  payloadsOf,
  reaches,
  type Stage,
  setStage,
  stepsOf,
  type Words,
} from './helpers/pipeline.ts'

const fixture = readFileSync(new URL('./fixtures/call.completed.json', import.meta.url), 'utf8')
const sample = JSON.parse(fixture)
const sampleWords: Words = {
  transcript: sample.transcript,
  summary: sample.summary,
  city: sample.city,
  service_category: sample.service_category,
}

let database: TestDatabase
let stage: Stage
beforeAll(async () => {
  database = await createTestDatabase()
  stage = await setStage(database)
  await stage.start()
})

test('an inbound call becomes its payload, byte for byte, and one delivery', async () => {
  const call = await stage.record(sampleWords)
  await database
    .knex('callbox.call_details')
    .insert({ call_sid: call.callSid, lead_id: '123', agent_name: 'Assistant' })
  const row = await reaches(database, call, 'completed')
  const timestamp = `${row.completed_at.toISOString().slice(0, 19)}Z`
  const expected = fixture.replace(sample.call_id, call.callSid).replace(sample.timestamp, timestamp)
  expect(await payloadsOf(database, call)).toEqual([expected])
  expect(row).toMatchObject({ transcript: sample.transcript, summary: sample.summary, error: null })
  const steps = await stepsOf(database, call)
  for (const step of ['audio', 'transcript', 'summary', 'extraction', 'completion']) {
    expect(steps[step]).toMatchObject({ attempts: 1, error: null, result: null })
    expect(steps[step].finished_at.getTime()).toBeGreaterThanOrEqual(steps[step].started_at.getTime())
  }
  expect(stage.askedFor(call)).toEqual({ audio: 1, transcript: 1, summary: 1, extraction: 1 })
  expect(readdirSync(join(stage.home, 'audio')).filter((name) => name.includes(call.callSid))).toEqual([])
})

test('an outbound call tells the called number', async () => {
  const call = await stage.record({ ...sampleWords, transcript: 'outbound' }, { direction: 'outbound' })
  await reaches(database, call, 'completed')
  const [payload = ''] = await payloadsOf(database, call)
  expect(JSON.parse(payload)).toMatchObject({ direction: 'outbound', phone: '+97237654321', business_id: '10' })
})

test.each([
  ['Hebrew', 'שלום, ״בית שאן״ — נכס'],
  ['Arabic with marks', 'مَرْحَبًا بِكُمْ فِي ٱلْقُدْسِ'],
  ['emoji of several code points', '👩‍👩‍👧‍👦 🏳️‍🌈 é é'],
  ['JSON and HTML', '{"a":"\\u0000"} </script> \u2028 \u2029 \t "\\'],
])('%s passes to the last byte', async (_name, text) => {
  const words = { transcript: ` ${text} `, summary: `### ${text}\n`, city: `c ${text}`, service_category: `s ${text}` }
  const call = await stage.record(words)
  const row = await reaches(database, call, 'completed')
  expect(row).toMatchObject(words)
  const [payload = ''] = await payloadsOf(database, call)
  expect(JSON.parse(payload)).toMatchObject(words)
})

test('what PostgreSQL cannot store is left out, and nothing is stuck', async () => {
  const words = { transcript: 'a\0b\ud83dc', summary: 'd\0e', city: '\0f', service_category: '\0' }
  const call = await stage.record(words)
  stage.openai.answers.queue(
    '/chat/completions',
    chatAnswer(words.summary),
    chatAnswer(JSON.stringify({ city: words.city, service_category: words.service_category })),
  )
  const row = await reaches(database, call, 'completed')
  expect(row).toMatchObject({ transcript: 'ab\ufffdc', summary: 'de', city: 'f', service_category: '' })
})

test('a recording without speech costs no language model and is delivered', async () => {
  const call = await stage.record({ transcript: ' \n ' })
  const asked = stage.openai.requests.filter(({ path }) => path === '/chat/completions').length
  await reaches(database, call, 'completed')
  const [payload = ''] = await payloadsOf(database, call)
  expect(JSON.parse(payload)).toMatchObject({ transcript: '', summary: '', city: '', service_category: '' })
  expect(stage.openai.requests.filter(({ path }) => path === '/chat/completions').length).toBe(asked)
})

test("the business's language and service categories are used; no business is needed", async () => {
  await database.knex('callbox.businesses').insert({
    business_id: 77,
    signing_secret_sealed: Buffer.from('sealed'),
    language: 'he',
    service_categories: ['rent', 'שיווק נכס'],
  })
  const words = { transcript: 'of 77', summary: '### of 77', city: null, service_category: 'שיווק נכס' }
  const call = await stage.record(words, { business_id: 77 })
  const row = await reaches(database, call, 'completed')
  expect(row).toMatchObject({ city: '', service_category: 'שיווק נכס' })
  const requests = stage.openai.requests.slice(-3)
  expect(requests[0]).toMatchObject({
    transcription: { languages: ['he'], model: 'gpt-transcribe', fileName: 'recording.mp3' },
  })
  expect(JSON.stringify(requests[2])).toContain('"enum":["rent","שיווק נכס"]')
})

test('a category that is not one of the business is asked for again', async () => {
  const words = {
    transcript: 'of 77 again',
    summary: '### of 77 again',
    city: 'Haifa',
    service_category: 'something else',
  }
  const call = await stage.record(words, { business_id: 77 })
  const path = '/chat/completions'
  stage.openai.answers.queue(
    path,
    chatAnswer(words.summary),
    chatAnswer(JSON.stringify({ city: 'Haifa', service_category: 'something else' })),
    chatAnswer('no JSON'),
    chatAnswer(JSON.stringify({ city: 'Haifa', service_category: 'rent' })),
  )
  expect(await reaches(database, call, 'completed')).toMatchObject({ city: 'Haifa', service_category: 'rent' })
})

test('a very long transcript is summarised', async () => {
  const transcript = Array.from({ length: 40_000 }, (_, at) => `שלום ${at}. `).join('')
  const call = await stage.record({ transcript })
  stage.openai.answers.queue('/chat/completions', chatAnswer('### long'))
  expect((await reaches(database, call, 'completed')).transcript).toBe(transcript)
  const asked = stage.openai.requests.findLast((request) => 'chat' in request && request.chat.schema === null)
  expect(JSON.stringify(asked).length).toBeLessThan(310_000)
})

test('a payload over 1 MiB fails its call with a clear error', async () => {
  const call = await stage.record({ transcript: 'big', summary: '### big' })
  await database
    .knex('callbox.call_details')
    .insert({ call_sid: call.callSid, metadata: JSON.stringify({ a: 'x'.repeat(1_048_576) }) })
  const row = await reaches(database, call, 'failed')
  expect(row.error).toContain('the payload is over 1 MiB')
  expect(await payloadsOf(database, call)).toEqual([])
})

test('a job of a call that has ended changes nothing', async () => {
  const call = await stage.record({ transcript: 'once', summary: '### once' })
  const before = await reaches(database, call, 'completed')
  await database.knex.raw(
    `insert into callbox_jobs.job (name, data, singleton_key, policy)
     values ('recordings', ?::jsonb, ?, 'singleton')`,
    [JSON.stringify({ businessId: call.businessId, callSid: call.callSid }), call.callSid],
  )
  await noJobsLeft()
  expect(await callOf(database, call)).toEqual(before)
  expect(stage.askedFor(call)).toEqual({ audio: 1, transcript: 1, summary: 1, extraction: 1 })
})

test('no phone number, transcript or secret is in a log line or a metric', async () => {
  const lines = JSON.stringify(stage.logged) + (await stage.metrics.registry.metrics())
  for (const secret of ['972501234567', '97237654321', sample.transcript, 'sk-the-right-key', 'pipeline-auth-token']) {
    expect(lines).not.toContain(secret)
  }
  expect(lines).toContain('call.completed')
  expect(existsSync(join(stage.home, 'audio'))).toBe(true)
})

async function noJobsLeft(): Promise<void> {
  await eventually('no job is left', async () => {
    const { rows } = await database.pool.query(`select from callbox_jobs.job where state < 'completed'`)
    return rows.length === 0
  })
}
