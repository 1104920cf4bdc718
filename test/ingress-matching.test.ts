import { beforeAll, describe, expect, test } from 'vitest'
import { twilioNotFound } from '../src/demo/twilio-stand-in.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import {
  businessWithNumber,
  callbacksOf,
  callsOf,
  type IngressStage,
  jobsOf,
  newCall,
  openIngress,
  registerNumber,
  settled,
  statusCallback,
} from './helpers/twilio.ts'

const [ours, second, customer] = ['+97237000010', '+97237000011', '+972501234567']
let database: TestDatabase
let stage: IngressStage
beforeAll(async () => {
  database = await createTestDatabase()
  await businessWithNumber(database, '10', ours)
  await businessWithNumber(database, '11', second)
  stage = await openIngress(database)
  stage.ingress.start()
})

const questions = (callSid: string): number => stage.twilio.requests.filter(({ sid }) => sid === callSid).length
const inbound = () => newCall({ direction: 'inbound', from: customer, to: ours })
const outbound = () => newCall({ direction: 'outbound-api', from: ours, to: customer })
const unavailable = { status: 503, body: 'busy' }

describe('by number', () => {
  test.each([
    ['inbound', 'inbound'],
    ['trunking-originating', 'inbound'],
    [undefined, 'inbound'],
    ['outbound-api', 'outbound'],
    ['outbound-dial', 'outbound'],
    ['trunking-terminating', 'outbound'],
  ])('Twilio’s direction %s is %s: the called or the calling number decides', async (twilios, direction) => {
    const call = direction === 'inbound' ? inbound() : outbound()
    const { kind, params } = statusCallback({ ...call, direction: twilios ?? '' })
    if (twilios === undefined) delete params['Direction']
    await stage.post({ kind, params })
    expect(await settled(database, call.callSid, 1)).toMatchObject([{ state: 'matched', business_id: '10' }])
    expect(await callsOf(database, call.callSid)).toMatchObject([
      { business_id: '10', direction, from_number: call.from, to_number: call.to, state: 'open' },
    ])
    expect(questions(call.callSid)).toBe(0)
  })

  test.each(['inbound', 'outbound-api'])('the customer’s number decides nothing when %s', async (direction) => {
    const call = direction === 'inbound' ? newCall({ direction, from: ours, to: customer }) : inbound()
    await stage.post(statusCallback({ ...call, direction }))
    const which = direction === 'inbound' ? 'called' : 'calling'
    expect(await settled(database, call.callSid, 1)).toMatchObject([
      { state: 'unmatched', reason: `no business has the ${which} number` },
    ])
    expect(await callsOf(database, call.callSid)).toEqual([])
  })

  test('a SIP trunk puts it in a URI', async () => {
    const call = { ...inbound(), to: `sip:${ours}@trunk.example;transport=tls`, direction: 'trunking-originating' }
    await stage.post(statusCallback(call))
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', to_number: ours }])
  })

  test('a direction that is not known is kept unmatched, even of a known call', async () => {
    const call = inbound()
    await stage.post(statusCallback(call))
    await settled(database, call.callSid, 1)
    await stage.post({ ...statusCallback({ ...call, direction: 'sideways' }), query: 'business_id=10' })
    const rows = await settled(database, call.callSid, 2)
    expect(rows[1]).toMatchObject({
      state: 'unmatched',
      reason: 'the direction "sideways" is not one that Callbox knows',
    })
    expect(await callsOf(database, call.callSid)).toMatchObject([{ direction: 'inbound' }])
  })

  test('one that is registered later takes up all callbacks of its calls', async () => {
    const number = '+97237000099'
    await putBusiness(database, '99', {})
    const call = { ...inbound(), to: number }
    stage.twilio.addCall(call)
    await stage.post(stage.recordingCallback(call))
    await stage.post(statusCallback(call, 'ringing'))
    await stage.post(statusCallback(call))
    const waiting = await settled(database, call.callSid, 3)
    expect(waiting.map((row) => row.state)).toEqual(['unmatched', 'unmatched', 'unmatched'])
    const foreign = inbound()
    await stage.post(statusCallback({ ...foreign, to: '+97237000098' }))
    await settled(database, foreign.callSid, 1)

    await registerNumber(database, '99', number)
    await eventually('all are matched', async () => {
      const rows = await callbacksOf(database, call.callSid)
      return rows.every((row) => row.state === 'matched' && row.business_id === '99')
    })
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '99', state: 'queued' }])
    expect(await jobsOf(database, call.callSid)).toEqual([{ businessId: '99', callSid: call.callSid }])
    expect(await callbacksOf(database, foreign.callSid)).toMatchObject([{ state: 'unmatched' }])
  })

  test('one that is registered later takes up a recording of which only Twilio told the number', async () => {
    const number = '+97237000097'
    await putBusiness(database, '97', {})
    const call = { ...outbound(), from: number }
    stage.twilio.addCall(call)
    await stage.post(stage.recordingCallback(call))
    await settled(database, call.callSid, 1)
    await registerNumber(database, '97', number)
    await eventually('it is matched', async () => (await callsOf(database, call.callSid)).length === 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '97', direction: 'outbound' }])
  })
})

describe('by ?business_id= of the signed URL', () => {
  test('the business that it names has the call, whatever the numbers say', async () => {
    const call = inbound()
    await stage.post({ ...statusCallback(call), query: 'business_id=11' })
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '11', direction: 'inbound' }])
  })

  test('a call that is known stays whose it is', async () => {
    const call = inbound()
    await stage.post(statusCallback(call, 'ringing'))
    await settled(database, call.callSid, 1)
    await stage.post({ ...statusCallback(call), query: 'business_id=11' })
    const rows = await settled(database, call.callSid, 2)
    expect(rows.map((row) => row.business_id)).toEqual(['10', '10'])
  })

  test.each([
    ['abc', 'the business_id of its URL is not one positive whole number'],
    ['0', 'the business_id of its URL is not one positive whole number'],
    ['-10', 'the business_id of its URL is not one positive whole number'],
    ['10&business_id=11', 'the business_id of its URL is not one positive whole number'],
    ['9223372036854775808', 'the business_id of its URL is not one positive whole number'],
    ['9223372036854775808000', 'the business_id of its URL is not one positive whole number'],
    ['010', 'the business_id of its URL is not one positive whole number'],
    ['+10', 'the business_id of its URL is not one positive whole number'],
    ['1e1', 'the business_id of its URL is not one positive whole number'],
    ['', 'the business_id of its URL is not one positive whole number'],
    ['10&business_id=10', 'the business_id of its URL is not one positive whole number'],
    ['404', 'the business_id of its URL: there is no business 404'],
  ])('business_id=%s leaves a call unmatched, though its number has an owner', async (given, reason) => {
    const call = inbound()
    stage.twilio.addCall(call)
    const query = `business_id=${given}`
    await stage.post({ ...statusCallback(call), query })
    await stage.post({ ...stage.recordingCallback(call), query })
    expect(await settled(database, call.callSid, 2)).toMatchObject([
      { state: 'unmatched', reason, business_id: null },
      { state: 'unmatched', reason, business_id: null },
    ])
    await stage.post(stage.recordingCallback({ ...call, recordingSid: 'REwithout' }))
    expect((await settled(database, call.callSid, 3))[2]).toMatchObject({ state: 'unmatched' })
    expect(await callsOf(database, call.callSid)).toEqual([])
  })

  test('a known call gets no callback whose URL names an unknown business', async () => {
    const call = inbound()
    await stage.post(statusCallback(call))
    await settled(database, call.callSid, 1)
    await stage.post({ ...stage.recordingCallback(call), query: 'business_id=404' })
    expect((await settled(database, call.callSid, 2))[1]).toMatchObject({ state: 'unmatched' })
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', state: 'open' }])
  })

  test('one that names a business made later is taken up then', async () => {
    const call = { ...inbound(), to: '+97237000095' }
    await stage.post({ ...statusCallback(call), query: 'business_id=95' })
    await settled(database, call.callSid, 1)
    await businessWithNumber(database, '95', '+97237000096')
    await eventually('it is matched', async () => (await callsOf(database, call.callSid)).length === 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '95' }])
  })

  test('a recording whose call Twilio does not know is still the named business’s', async () => {
    const call = inbound()
    await stage.post({ ...stage.recordingCallback(call), query: 'business_id=11' })
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '11', direction: null }])
  })
})

test('a repeated callback of a call that found no business is matched again', async () => {
  const call = inbound()
  stage.twilio.answers.queue(call.callSid, twilioNotFound)
  await stage.post(stage.recordingCallback(call))
  expect(await settled(database, call.callSid, 1)).toMatchObject([{ state: 'unmatched' }])
  stage.twilio.addCall(call)
  await stage.post(stage.recordingCallback(call))
  await eventually('it is matched', async () => (await callbacksOf(database, call.callSid))[0]?.state === 'matched')
})

describe('by Twilio’s Call resource', () => {
  test.each([inbound, outbound])('a recording alone finds its business (%o)', async (make) => {
    const call = make()
    stage.twilio.addCall(call)
    await stage.post(stage.recordingCallback(call))
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([
      {
        business_id: '10',
        direction: call.direction === 'inbound' ? 'inbound' : 'outbound',
        from_number: call.from,
        to_number: call.to,
        twilio_status: 'completed',
        started_at: call.startedAt,
        duration_sec: 26,
        state: 'queued',
      },
    ])
    expect(stage.twilio.requests.filter(({ sid }) => sid === call.callSid)).toMatchObject([{ authorized: true }])
  })

  test('a call that Twilio does not know is unmatched, until its status callback comes', async () => {
    const call = inbound()
    stage.twilio.answers.always(call.callSid, twilioNotFound)
    await stage.post(stage.recordingCallback(call))
    expect(await settled(database, call.callSid, 1)).toMatchObject([
      { state: 'unmatched', reason: 'Twilio knows no such call' },
    ])
    await stage.post(statusCallback(call))
    await eventually('both are matched', async () => {
      const rows = await callbacksOf(database, call.callSid)
      return rows.length === 2 && rows.every((row) => row.state === 'matched')
    })
    expect(await jobsOf(database, call.callSid)).toHaveLength(1)
  })

  test.concurrent('a recording is still the named business’s when Twilio does not answer for seconds', async () => {
    const call = inbound()
    stage.twilio.answers.always(call.callSid, unavailable)
    await stage.post({ ...stage.recordingCallback(call), query: 'business_id=11' })
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '11', state: 'queued' }])
    expect(questions(call.callSid)).toBe(4)
  })

  test.concurrent.each([
    ['a server error', unavailable],
    ['too many requests', { status: 429, body: '' }],
    ['a refused token', { status: 401, body: '' }],
    ['a redirect', { status: 307, headers: { location: 'http://127.0.0.1:9/' }, body: '' }],
    ['a cut connection', 'reset'],
    ['no JSON', { status: 200, body: '<html>' }],
    ['not a call', { status: 200, body: '{"from": 5}' }],
    ['an answer without end', { status: 200, body: `"${'a'.repeat(1_000_000)}"` }],
  ] as const)('after %s Twilio is asked again', async (_what, answer) => {
    const call = inbound()
    stage.twilio.addCall(call)
    stage.twilio.answers.queue(call.callSid, answer)
    await stage.post(stage.recordingCallback(call))
    const waiting = await eventually('it waits', async () => {
      const [row] = await callbacksOf(database, call.callSid)
      return row?.reason?.startsWith('the Call resource') && row
    })
    expect(waiting.state).toBe('new')
    expect(await settled(database, call.callSid, 1)).toMatchObject([{ state: 'matched', reason: null }])
    expect(questions(call.callSid)).toBe(2)
  })

  test('while Twilio does not answer, callbacks that tell the number themselves are matched', async () => {
    const hanging = Array.from({ length: 20 }, inbound)
    for (const call of hanging) {
      stage.twilio.addCall(call)
      stage.twilio.answers.queue(call.callSid, 'hang')
      await stage.post(stage.recordingCallback(call))
    }
    await eventually('Twilio is asked as often as may be at once', () => stage.twilio.answers.hanging === 16)
    const other = inbound()
    await stage.post(statusCallback(other))
    await settled(database, other.callSid, 1)

    const [first] = hanging
    if (!first) throw new Error('no call')
    await stage.post(statusCallback(first))
    await settled(database, first.callSid, 2)
    expect(await callsOf(database, first.callSid)).toMatchObject([{ state: 'queued' }])
    for (const call of hanging) stage.twilio.answers.always(call.callSid, null)
    await eventually('all are matched', async () => {
      stage.twilio.answers.release(unavailable)
      const states = await Promise.all(hanging.map(({ callSid }) => callsOf(database, callSid)))
      return states.every(([call]) => call?.state === 'queued')
    })
  })
})
