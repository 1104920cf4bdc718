import { beforeAll, describe, expect, test } from 'vitest'
import type { TwilioCall } from '../src/demo/twilio-call.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import {
  account,
  businessWithNumber,
  callbacksOf,
  callsOf,
  type IngressStage,
  jobsOf,
  newCall,
  openIngress,
  recordingsOf,
  type SentCallback,
  settled,
  statusCallback,
} from './helpers/twilio.ts'

const [ten, eleven, customer] = ['+97237000010', '+97237000011', '+972501234567']
const subaccount = `AC${'5'.repeat(32)}`
let database: TestDatabase
let stage: IngressStage
beforeAll(async () => {
  database = await createTestDatabase()
  await businessWithNumber(database, '10', ten)
  await businessWithNumber(database, '11', eleven)
  stage = await openIngress(database)
  stage.ingress.start()
})

const askedOf = (callSid: string) =>
  stage.twilio.requests.filter(({ sid }) => sid === callSid).map(({ path }) => path.split('/')[3])

describe('a call of a subaccount', () => {
  test.each([
    ['outbound-api', ten, customer, 'outbound'],
    ['inbound', customer, ten, 'inbound'],
  ])('(%s) is asked for there', async (twilios, from, to, direction) => {
    const call = newCall({ direction: twilios, from, to, accountSid: subaccount })
    stage.twilio.addCall(call)
    await stage.post(stage.recordingCallback(call))
    expect(await settled(database, call.callSid, 1)).toMatchObject([{ state: 'matched' }])
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', direction, state: 'queued' }])
    expect(askedOf(call.callSid)).toEqual([subaccount])
  })

  test('its legs are, too', async () => {
    const parent = newCall({ direction: 'outbound-api', from: ten, to: customer, accountSid: subaccount })
    const leg = newCall({ direction: 'outbound-dial', parentCallSid: parent.callSid, accountSid: subaccount })
    stage.twilio.addCall(parent)
    stage.twilio.addCall(leg)
    await stage.post(stage.recordingCallback(leg))
    await settled(database, leg.callSid, 1)
    expect(await callsOf(database, parent.callSid)).toMatchObject([{ business_id: '10', direction: 'outbound' }])
  })

  test('that names no account is retried although the main account has no such call', async () => {
    const call = newCall({ direction: 'outbound-api', from: ten, to: customer, accountSid: subaccount })
    const { kind, params } = stage.recordingCallback(call)
    delete params['AccountSid']
    await stage.post({ kind, params })
    const row = await eventually('it waits', async () => {
      const [one] = await callbacksOf(database, call.callSid)
      return one?.reason?.includes('is not in the account of TWILIO_ACCOUNT_SID') && one
    })
    expect(row.state).toBe('new')
    await stage.post(statusCallback(call))
    await eventually('both are matched', async () => {
      const rows = await callbacksOf(database, call.callSid)
      return rows.every(({ state }) => state === 'matched')
    })
  })
})

test('a call that failed without a direction resumes when a callback names it', async () => {
  const call = newCall({ direction: 'outbound-api', from: ten, to: customer })
  await stage.post({ ...stage.recordingCallback(call), query: 'business_id=10' })
  await settled(database, call.callSid, 1)
  expect(await callsOf(database, call.callSid)).toMatchObject([{ direction: null, state: 'queued' }])
  await database.pool.query(
    `update callbox.calls set state = 'failed', error = 'the direction of the call is not known' where call_sid = $1`,
    [call.callSid],
  )
  await stage.post(statusCallback(call))
  await settled(database, call.callSid, 2)
  expect(await callsOf(database, call.callSid)).toMatchObject([{ direction: 'outbound', state: 'queued', error: null }])
  expect(await jobsOf(database, call.callSid)).toHaveLength(2)
})

describe('a recording of a conference', () => {
  let conferences = 0
  const conferenceSid = (): string => {
    conferences++
    return `CF${conferences.toString(16).padStart(32, '0')}`
  }
  const caller = () => newCall({ direction: 'inbound', from: customer, to: ten })
  const colleague = () => newCall({ direction: 'outbound-api', from: ten, to: '+972505550002' })
  /** Its callback names the conference and no call. */
  const recorded = (of: TwilioCall, sid: string): SentCallback => {
    const { kind, params } = stage.recordingCallback(of)
    delete params['CallSid']
    return { kind, params: { ...params, ConferenceSid: sid, RecordingSource: 'Conference' } }
  }
  const know = (...calls: TwilioCall[]) => {
    for (const call of calls) stage.twilio.addCall(call)
  }

  test('is of the call that its resource names', async () => {
    const [call, sid] = [caller(), conferenceSid()]
    know(call)
    stage.twilio.addRecordingOf(call.recordingSid, { callSid: call.callSid, conferenceSid: sid })
    await stage.post(recorded(call, sid))
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', state: 'queued' }])
    expect(await recordingsOf(database, call.callSid)).toMatchObject([{ recording_sid: call.recordingSid }])
  })

  test('is of the customer’s call, where several took part', async () => {
    const [first, call, sid] = [colleague(), caller(), conferenceSid()]
    know({ ...first, startedAt: new Date('2025-12-10T14:00:00Z') }, call)
    stage.twilio.addRecordingOf(call.recordingSid, { callSid: null, conferenceSid: sid })
    stage.twilio.addConference({ conferenceSid: sid, participants: [first.callSid, call.callSid] })
    await stage.post(recorded(call, sid))
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', state: 'queued' }])
    expect(await callsOf(database, first.callSid)).toEqual([])
  })

  test('is of the call that ended it, once it is over', async () => {
    const [call, sid] = [caller(), conferenceSid()]
    know(call)
    stage.twilio.addConference({ conferenceSid: sid, participants: [], callSidEndingConference: call.callSid })
    await stage.post(recorded(call, sid))
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', state: 'queued' }])
  })

  test('in a subaccount is asked for there, and a leg’s is its call’s', async () => {
    const sid = conferenceSid()
    const parent = { ...caller(), accountSid: subaccount }
    const leg = newCall({ direction: 'outbound-dial', parentCallSid: parent.callSid, accountSid: subaccount })
    know(parent, leg)
    stage.twilio.addConference({ conferenceSid: sid, participants: [leg.callSid], accountSid: subaccount })
    await stage.post(recorded(leg, sid))
    await settled(database, parent.callSid, 1)
    expect(await callsOf(database, parent.callSid)).toMatchObject([{ business_id: '10', state: 'queued' }])
  })

  const unnamed = async (recordingSid: string) =>
    await eventually('it is settled', async () => {
      const { rows } = await database.pool.query(
        `select state, reason, call_sid from callbox.twilio_callbacks where body like '%' || $1 || '%'`,
        [recordingSid],
      )
      return rows[0]?.state !== 'new' && rows[0]
    })

  test('of two businesses belongs to neither', async () => {
    const [call, other, sid] = [caller(), newCall({ from: customer, to: eleven }), conferenceSid()]
    know(call, other)
    stage.twilio.addConference({ conferenceSid: sid, participants: [call.callSid, other.callSid] })
    await stage.post(recorded(call, sid))
    expect(await unnamed(call.recordingSid)).toEqual({
      state: 'unmatched',
      reason: 'calls of two businesses were in its conference',
      call_sid: '',
    })
    await stage.post({ ...recorded({ ...call, recordingSid: 'REnamed' }, sid), query: 'business_id=11' })
    await settled(database, other.callSid, 1)
    expect(await callsOf(database, other.callSid)).toMatchObject([{ business_id: '11', state: 'queued' }])
  })

  test('that Twilio does not know is unmatched', async () => {
    const call = caller()
    await stage.post(recorded(call, conferenceSid()))
    expect(await unnamed(call.recordingSid)).toMatchObject({
      state: 'unmatched',
      reason: 'it names no CallSid, and Twilio knows no call for it',
    })
  })

  test('waits while Twilio does not answer', async () => {
    const [call, sid] = [caller(), conferenceSid()]
    know(call)
    stage.twilio.addConference({ conferenceSid: sid, participants: [call.callSid] })
    stage.twilio.answers.queue(call.recordingSid, { status: 503 })
    await stage.post(recorded(call, sid))
    await settled(database, call.callSid, 1)
    expect(stage.twilio.requests.filter(({ sid: one }) => one === call.recordingSid)).toHaveLength(2)
  })
})

test('every request names an account', () => {
  for (const { path, authorized } of stage.twilio.requests) {
    expect(authorized).toBe(true)
    expect([account.accountSid, subaccount]).toContain(path.split('/')[3])
  }
})
