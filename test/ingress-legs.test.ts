import { beforeAll, describe, expect, test } from 'vitest'
import type { TwilioCall } from '../src/demo/twilio-call.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { permutations } from './helpers/permutations.ts'
import {
  businessWithNumber,
  callbacksOf,
  callsOf,
  type IngressStage,
  jobsOf,
  newCall,
  openIngress,
  registerNumber,
  type SentCallback,
  settled,
  statusCallback,
} from './helpers/twilio.ts'

const [ten, eleven] = ['+97237000010', '+97237000011']
const [customer, agent] = ['+972501234567', '+972505550002']
let database: TestDatabase
let stage: IngressStage
beforeAll(async () => {
  database = await createTestDatabase()
  await businessWithNumber(database, '10', ten)
  await businessWithNumber(database, '11', eleven)
  stage = await openIngress(database)
  stage.ingress.start()
})

/** A call and one leg of it. */
function family(root: Partial<TwilioCall>, leg: Partial<TwilioCall>): [TwilioCall, TwilioCall] {
  const parent = newCall(root)
  return [parent, newCall({ direction: 'outbound-dial', parentCallSid: parent.callSid, ...leg })]
}

async function everyMatched(calls: TwilioCall[], count: number): Promise<void> {
  await eventually('all are matched', async () => {
    const rows = (await Promise.all(calls.map(({ callSid }) => callbacksOf(database, callSid)))).flat()
    return rows.length === count && rows.every((row) => row.state === 'matched')
  })
}

describe('an agent’s client calls a number of another business', () => {
  const outbound = { business_id: '10', direction: 'outbound', from_number: ten, to_number: eleven, state: 'queued' }
  const start = () => family({ from: 'client:agent', to: eleven }, { from: ten, to: eleven })
  const callback = (what: string, parent: TwilioCall, leg: TwilioCall): SentCallback => {
    if (what === 'parent') return statusCallback(parent)
    return what === 'leg' ? statusCallback(leg) : stage.recordingCallback(what === 'recording of leg' ? leg : parent)
  }
  const orders = [
    ...permutations(['parent', 'leg', 'recording']),
    ...permutations(['parent', 'leg', 'recording of leg']),
  ]

  test.each(orders)('%s, %s, %s: it is of the calling one', async (...order) => {
    const [parent, leg] = start()
    stage.twilio.addCall(parent)
    stage.twilio.addCall(leg)
    for (const what of order) await stage.post(callback(what, parent, leg))
    await everyMatched([parent, leg], 3)
    expect(await callsOf(database, parent.callSid)).toMatchObject([outbound])
    expect((await jobsOf(database, parent.callSid)).at(-1)).toMatchObject({ businessId: '10' })
  })

  test.each(permutations(['parent', 'leg', 'recording']))('%s, %s, %s, and Twilio knows neither', async (...order) => {
    const [parent, leg] = start()
    for (const what of order) await stage.post(callback(what, parent, leg))
    await everyMatched([parent, leg], 3)
    expect(await callsOf(database, parent.callSid)).toMatchObject([outbound])
  })

  test('and no callback of its leg comes: Twilio lists it', async () => {
    const [parent, leg] = start()
    stage.twilio.addCall(parent)
    stage.twilio.addCall(leg)
    await stage.post(statusCallback(parent))
    await stage.post(stage.recordingCallback(parent))
    await everyMatched([parent], 2)
    expect(await callsOf(database, parent.callSid)).toMatchObject([outbound])
  })

  test('while it rings it is of no business yet', async () => {
    const [parent, leg] = start()
    stage.twilio.addCall({ ...parent, status: 'in-progress' })
    await stage.post(statusCallback(parent, 'ringing'))
    const [row] = await eventually('it waits', async () => {
      const rows = await callbacksOf(database, parent.callSid)
      return rows[0]?.reason?.startsWith('a phone system') && rows
    })
    expect(row).toMatchObject({ state: 'new' })
    expect(await callsOf(database, parent.callSid)).toEqual([])
    await stage.post(statusCallback(leg, 'ringing'))
    await everyMatched([parent, leg], 2)
    expect(await callsOf(database, parent.callSid)).toMatchObject([{ ...outbound, state: 'open' }])
  })

  test('a leg that arrives after the call was assigned to the called business moves it', async () => {
    const [parent, leg] = start()
    stage.twilio.addCall(parent)
    await stage.post(statusCallback(parent))
    await stage.post(stage.recordingCallback(parent))
    await everyMatched([parent], 2)
    expect(await callsOf(database, parent.callSid)).toMatchObject([{ business_id: '11', direction: 'inbound' }])
    await stage.post(statusCallback(leg))
    await eventually(
      'it is of the other',
      async () => (await callsOf(database, parent.callSid))[0]?.business_id === '10',
    )
    await everyMatched([parent, leg], 3)
    expect(await callsOf(database, parent.callSid)).toMatchObject([outbound])
    expect((await jobsOf(database, parent.callSid)).at(-1)).toMatchObject({ businessId: '10' })
  })

  test('a completed call keeps the parties of its event', async () => {
    const [parent, leg] = start()
    stage.twilio.addCall(parent)
    await stage.post(statusCallback(parent))
    await everyMatched([parent], 1)
    await database.pool.query(
      `update callbox.calls set state = 'completed', completed_at = now() where call_sid = $1`,
      [parent.callSid],
    )
    const before = await callsOf(database, parent.callSid)
    await stage.post(statusCallback(leg))
    await everyMatched([parent, leg], 2)
    expect(await callsOf(database, parent.callSid)).toEqual(before)
  })

  test('the business in a signed URL stays, whatever the legs say', async () => {
    const [parent, leg] = start()
    stage.twilio.addCall(parent)
    stage.twilio.addCall(leg)
    await stage.post({ ...statusCallback(parent), query: 'business_id=11' })
    await settled(database, parent.callSid, 1)
    await stage.post(statusCallback(leg))
    await everyMatched([parent, leg], 2)
    expect(await callsOf(database, parent.callSid)).toMatchObject([{ business_id: '11' }])
  })
})

test('numbers of two businesses on two legs: unmatched, with the reason', async () => {
  const [parent, leg] = family({ from: customer, to: ten }, { from: eleven, to: agent })
  stage.twilio.addCall(parent)
  stage.twilio.addCall(leg)
  await stage.post(statusCallback(parent))
  await everyMatched([parent], 1)
  await stage.post(statusCallback(leg))
  const reason = 'its legs have numbers of two businesses, and nothing decides between them'
  expect(await settled(database, leg.callSid, 1)).toMatchObject([{ state: 'unmatched', reason }])
  expect(await settled(database, parent.callSid, 1)).toMatchObject([{ state: 'unmatched', reason }])
  expect(await callsOf(database, parent.callSid)).toEqual([])
})

test('an agent of a business whose number comes later', async () => {
  const number = '+97237000042'
  await businessWithNumber(database, '42', '+97237000043')
  const [parent, leg] = family({ from: 'client:agent', to: eleven }, { from: number, to: eleven })
  stage.twilio.addCall(parent)
  stage.twilio.addCall(leg)
  await stage.post(statusCallback(parent))
  await stage.post(statusCallback(leg))
  expect(await settled(database, parent.callSid, 1)).toMatchObject([{ state: 'unmatched' }])
  await settled(database, leg.callSid, 1)
  await registerNumber(database, '42', number)
  await everyMatched([parent, leg], 2)
  expect(await callsOf(database, parent.callSid)).toMatchObject([{ business_id: '42', direction: 'outbound' }])
})

test.each(permutations(['parent', 'leg']))('a click-to-call is with the customer: %s, %s', async (...order) => {
  const [parent, leg] = family({ direction: 'outbound-api', from: ten, to: agent }, { from: ten, to: customer })
  for (const what of order) await stage.post(statusCallback(what === 'parent' ? parent : leg))
  await everyMatched([parent, leg], 2)
  expect(await callsOf(database, parent.callSid)).toMatchObject([
    { business_id: '10', direction: 'outbound', from_number: ten, to_number: customer },
  ])
})

test.each(['+266696687', 'Anonymous', 'RESTRICTED', 'client:visitor', 'sip:anonymous@anonymous.invalid', '12345'])(
  'the caller %s has no phone number',
  async (from) => {
    const call = newCall({ from, to: ten })
    stage.twilio.addCall(call)
    await stage.post(statusCallback(call))
    await everyMatched([call], 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([
      { business_id: '10', direction: 'inbound', from_number: '', to_number: ten },
    ])
  },
)

test.each(['whatsapp:+97237000010', 'tel:+97237000010', 'sip:97237000010@x.sip.twilio.com:5060;user=phone'])(
  'the called address %s is the business’s number',
  async (to) => {
    const call = newCall({ from: customer, to })
    await stage.post(statusCallback(call))
    await everyMatched([call], 1)
    expect(await callsOf(database, call.callSid)).toMatchObject([{ business_id: '10', to_number: ten }])
  },
)
