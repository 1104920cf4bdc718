import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTwilioStandIn } from '../src/demo/twilio-stand-in.ts'
import { fetchAudio } from '../src/pipeline/audio.ts'
import { AudioFiles } from '../src/pipeline/audio-files.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { account, recordingUrl } from './helpers/pipeline.ts'

let database: TestDatabase
const home = mkdtempSync(join(tmpdir(), 'callbox-audio-'))
const files = new AudioFiles(home)
beforeAll(async () => {
  database = await createTestDatabase()
  await files.prepare()
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

test('only the owner can read a recording or a part of it, and both go with the call', async () => {
  const twilio = await startTwilioStandIn(account)
  const settings = {
    accountSid: account.accountSid,
    authTokens: [account.authToken],
    apiUrl: twilio.url,
    recordingHosts: [],
  }
  const job = { businessId: '1', callSid: 'CA1' }
  const never = new AbortController().signal
  const fetchOne = (recordingSid: string) => {
    const source = { url: recordingUrl(twilio.url, recordingSid), durationSec: null }
    return fetchAudio(settings, source, files.path(job, recordingSid), files.parts, never)
  }
  twilio.answers.queue('RE1', (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('a part of it', () => response.socket?.end())
  })
  expect((await fetchOne('RE1')).ok).toBe(false)
  twilio.addRecording('RE2', Buffer.from('the whole'))
  expect(await fetchOne('RE2')).toEqual({ ok: true, value: { bytes: 9 } })
  const directory = dirname(files.path(job, 'RE1'))
  const names = readdirSync(directory)
  expect(names).toHaveLength(2)
  for (const name of names) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600)
  expect(statSync(directory).mode & 0o777).toBe(0o700)
  await files.remove(job)
  expect(readdirSync(directory)).toEqual([])
  expect(files.parts.size).toBe(0)
  await twilio.close()
})

test('left-over files are removed, but not those of calls that are being worked on', async () => {
  const place = (callSid: string, state: string | null, ageMs: number, ending = ''): string => {
    const path = files.path({ businessId: '1', callSid }, 'RE1') + ending
    writeFileSync(path, 'audio')
    const time = new Date(Date.now() - ageMs)
    utimesSync(path, time, time)
    if (state !== null) states.push({ business_id: 1, call_sid: callSid, state })
    return path
  }
  const states: { business_id: number; call_sid: string; state: string }[] = []
  const day = 86_400_000
  const kept = [place('CAprocessing', 'processing', day), place('CAqueued', 'queued', day), place('CAnew', null, 0)]
  place('CAcompleted', 'completed', day)
  place('CAfailed', 'failed', day)
  place('CAunknown', null, day)
  place('CApart', 'processing', day, '.some-id.part')
  await database.knex('callbox.calls').insert(states)
  await files.sweep(database.knex)
  const left = readdirSync(join(home, 'audio')).map((name) => join(home, 'audio', name))
  expect(left.sort()).toEqual(kept.sort())
})
