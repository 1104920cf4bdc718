import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { twilioAuthorization } from '../src/calls/twilio-api.ts'
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

test('only the owner can read a recording, and a broken transfer leaves nothing', async () => {
  const twilio = await startTwilioStandIn(account)
  const settings = {
    accountSid: account.accountSid,
    authTokens: [account.authToken],
    apiUrl: twilio.url,
    recordingHosts: [],
  }
  expect(twilioAuthorization(settings)).not.toBeNull()
  const path = files.path({ businessId: '1', callSid: 'CA1' }, 'RE1')
  const never = new AbortController().signal
  twilio.answers.queue('RE1', (_request, response) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('a part of it', () => response.destroy())
  })
  expect((await fetchAudio(settings, recordingUrl(twilio.url, 'RE1'), path, never)).ok).toBe(false)
  expect(readdirSync(dirname(path))).toEqual([])

  twilio.addRecording('RE1', Buffer.from('the whole'))
  expect(await fetchAudio(settings, recordingUrl(twilio.url, 'RE1'), path, never)).toEqual({
    ok: true,
    value: { bytes: 9 },
  })
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(statSync(dirname(path)).mode & 0o777).toBe(0o700)
  await files.remove({ businessId: '1', callSid: 'CA1' })
  expect(readdirSync(dirname(path))).toEqual([])
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
