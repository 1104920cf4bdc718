import { beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { permutations } from './helpers/permutations.ts'
import {
  account,
  businessWithNumber,
  callsOf,
  type IngressStage,
  jobsOf,
  newCall,
  openIngress,
  recordingsOf,
  settled,
  statusCallback,
} from './helpers/twilio.ts'

const ours = '+97237654321'
let database: TestDatabase
let stage: IngressStage
beforeAll(async () => {
  database = await createTestDatabase()
  await businessWithNumber(database, '10', ours)
  stage = await openIngress(database, { RECORDING_HOSTS: 'bucket.example, Other.example:8443' })
  stage.ingress.start()
})

const recordingUrl = (sid: string, at = stage.twilio.url): string =>
  `${at}/2010-04-01/Accounts/${account.accountSid}/Recordings/${sid}`

const known = async (state?: string) => {
  const call = newCall({ to: ours })
  await stage.post(statusCallback(call))
  await settled(database, call.callSid, 1)
  if (state) await database.pool.query('update callbox.calls set state = $1 where call_sid = $2', [state, call.callSid])
  return call
}
/** What was posted of each call; a repeated callback is stored once. */
const sent = new Map<string, Set<string>>()
const post = async (call: ReturnType<typeof newCall>, status: string, more: Record<string, string> = {}) => {
  const { kind, params } = stage.recordingCallback(call, status)
  await stage.post({ kind, params: { ...params, ...more } })
  const ofCall = (sent.get(call.callSid) ?? new Set()).add(JSON.stringify({ ...params, ...more }))
  sent.set(call.callSid, ofCall)
  await settled(database, call.callSid, 1 + ofCall.size)
}
const withRecording = async (status: string, more: Record<string, string> = {}) => {
  const call = await known()
  await post(call, status, more)
  return call
}

describe('a recording', () => {
  test('that completed is stored and queues its call', async () => {
    const call = await withRecording('completed', { RecordingChannels: '2', RecordingSource: 'DialVerb' })
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'queued' }])
    expect(await recordingsOf(database, call.callSid)).toEqual([
      {
        recording_sid: call.recordingSid,
        state: 'waiting',
        error: null,
        url: recordingUrl(call.recordingSid),
        source: 'DialVerb',
        channels: 2,
        started_at: call.startedAt,
        duration_sec: 26,
      },
    ])
    expect(await jobsOf(database, call.callSid)).toHaveLength(1)
  })

  test.each(['.json', '.wav', '.mp3', '.WAV', '.json?Download=true', '?RequestedChannels=2#a', '/'])(
    'whose RecordingUrl ends in %s is the same recording',
    async (ending) => {
      const call = await known()
      await post(call, 'completed', { RecordingUrl: `${recordingUrl(call.recordingSid)}${ending}` })
      expect(await recordingsOf(database, call.callSid)).toMatchObject([{ url: recordingUrl(call.recordingSid) }])
    },
  )

  test('is fetched from TWILIO_API_URL: an address elsewhere is replaced by the one there', async () => {
    for (const elsewhere of [
      'https://evil.example',
      'https://bucket.example.evil',
      'https://other.example',
      'ftp://bucket.example',
    ]) {
      const call = await withRecording('completed', { RecordingUrl: recordingUrl('REelsewhere', elsewhere) })
      expect(await recordingsOf(database, call.callSid)).toMatchObject([{ url: recordingUrl(call.recordingSid) }])
    }
  })

  test.each(['https://bucket.example/a/RE1?signature=x%2Fy', 'https://other.example:8443/RE1.wav'])(
    'at a host of RECORDING_HOSTS is fetched as it is: %s',
    async (url) => {
      const call = await withRecording('completed', { RecordingUrl: url })
      expect(await recordingsOf(database, call.callSid)).toMatchObject([{ url }])
    },
  )

  test('without a SID is identified by its address', async () => {
    const call = await known()
    const url = recordingUrl(call.recordingSid)
    await post(call, 'completed', { RecordingSid: '', RecordingUrl: `${url}.json` })
    await post(call, 'completed', { RecordingSid: '', RecordingUrl: `${url}.wav` })
    expect(await recordingsOf(database, call.callSid)).toMatchObject([{ recording_sid: call.recordingSid, url }])
  })

  test('that names nothing to fetch fails its call', async () => {
    const call = await withRecording('completed', { RecordingUrl: 'file:///etc/passwd', RecordingSid: '../../x' })
    const error = expect.stringContaining('names no recording')
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'failed', error }])
    expect(await recordingsOf(database, call.callSid)).toMatchObject([{ state: 'unusable', url: null, error }])
    expect(await jobsOf(database, call.callSid)).toEqual([])
  })

  test.each(['in-progress', 'paused'])('that is %s changes nothing', async (status) => {
    const call = await withRecording(status)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'open', error: null }])
    expect(await recordingsOf(database, call.callSid)).toEqual([])
  })

  test.each(['absent', 'failed'])('that is %s fails its call, until one completes', async (status) => {
    const call = await withRecording(status, { ErrorCode: '16101' })
    const error = `Twilio has no recording of this call: ${status}, Twilio's error 16101`
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'failed', error }])
    expect(await recordingsOf(database, call.callSid)).toMatchObject([{ state: 'unusable', error }])
    await post(call, 'completed')
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'queued', error: null }])
    await post({ ...call, recordingSid: 'RElater' }, status)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'queued', error: null }])
    expect(await recordingsOf(database, call.callSid)).toMatchObject([{ state: 'waiting' }, { state: 'unusable' }])
    expect(await jobsOf(database, call.callSid)).toHaveLength(1)
  })

  test('that is reported absent after it completed stays', async () => {
    const call = await withRecording('completed')
    await post(call, 'absent')
    expect(await recordingsOf(database, call.callSid)).toMatchObject([{ state: 'waiting', error: null }])
  })
})

describe('the recordings of one call', () => {
  const at = (call: ReturnType<typeof newCall>, seconds: number) => ({
    ...call,
    recordingSid: `RE${call.callSid.slice(2)}${seconds}`,
    startedAt: new Date(call.startedAt.getTime() + seconds * 1000),
  })

  test.each(permutations(['absent', 'first', 'second']))(
    'in the order %s, %s, %s are all kept, in one job',
    async (...order) => {
      const call = await known()
      for (const what of order) {
        if (what === 'absent') await post(at(call, 5), 'absent')
        else await post(at(call, what === 'first' ? 0 : 10), 'completed')
        await post(
          at(call, what === 'absent' ? 5 : what === 'first' ? 0 : 10),
          what === 'absent' ? 'absent' : 'completed',
        )
      }
      expect(await callsOf(database, call.callSid)).toMatchObject([{ state: 'queued', error: null }])
      expect(await recordingsOf(database, call.callSid)).toMatchObject([
        { state: 'waiting', started_at: at(call, 0).startedAt },
        { state: 'unusable', started_at: at(call, 5).startedAt },
        { state: 'waiting', started_at: at(call, 10).startedAt },
      ])
      expect(await jobsOf(database, call.callSid)).toHaveLength(1)
    },
  )

  test.each([
    ['queued', 'queued', 1],
    ['processing', 'processing', 1],
    ['completed', 'completed', 1],
    ['failed', 'queued', 2],
  ])('one that comes when the call is %s leaves it %s', async (state, then, jobs) => {
    const call = await withRecording('completed')
    await database.pool.query('update callbox.calls set state = $1 where call_sid = $2', [state, call.callSid])
    await post(at(call, 10), 'completed')
    expect(await callsOf(database, call.callSid)).toMatchObject([{ state: then }])
    expect(await recordingsOf(database, call.callSid)).toHaveLength(2)
    expect(await jobsOf(database, call.callSid)).toHaveLength(jobs)
  })
})
