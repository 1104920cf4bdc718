import { beforeAll, describe, expect, test } from 'vitest'
import { lockBusinessesForChange, lockCall } from '../src/calls/locks.ts'
import { reopenUnmatchedCallbacks } from '../src/calls/unmatched-callbacks.ts'
import { createKnex } from '../src/database/knex.ts'
import { defaultSchema } from '../src/database/schema.ts'
import type { TwilioCall } from '../src/demo/twilio-call.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { permutations } from './helpers/permutations.ts'
import {
  businessWithNumber,
  callbacksOf,
  callsOf,
  type IngressStage,
  jobsOf,
  newCall,
  openIngress,
  recordingsOf,
  registerNumber,
  type SentCallback,
  settled,
  statusCallback,
} from './helpers/twilio.ts'

const [ours, customer] = ['+97237000010', '+972501234567']
let database: TestDatabase
let stage: IngressStage
beforeAll(async () => {
  database = await createTestDatabase()
  await businessWithNumber(database, '10', ours)
  stage = await openIngress(database)
  stage.ingress.start()
})

const newInbound = (more: Partial<TwilioCall> = {}) =>
  newCall({ direction: 'inbound', from: customer, to: ours, ...more })
const finished = (call: TwilioCall) => ({
  business_id: '10',
  direction: 'inbound',
  from_number: customer,
  to_number: ours,
  state: 'queued',
  error: null,
  twilio_status: 'completed',
  started_at: call.startedAt,
  ended_at: new Date(call.startedAt.getTime() + call.durationSec * 1000),
  duration_sec: call.durationSec,
})

/** Each callback comes when the one before it has been dealt with. */
async function playInOrder(callbacks: SentCallback[]): Promise<void> {
  const sent = new Map<string, number>()
  for (const callback of callbacks) {
    const sid = callback.params['CallSid'] ?? ''
    sent.set(sid, (sent.get(sid) ?? 0) + 1)
    await stage.post(callback)
    await settled(database, sid, sent.get(sid) ?? 0)
  }
}

async function expectOneRecordedCall(call: TwilioCall, recording = call.recordingSid): Promise<void> {
  const known = await callsOf(database, call.callSid)
  expect(known).toEqual([expect.objectContaining(finished(call))])
  expect(await recordingsOf(database, call.callSid)).toMatchObject([{ recording_sid: recording, state: 'waiting' }])
  expect(await jobsOf(database, call.callSid)).toEqual([{ businessId: '10', callSid: call.callSid }])
}

test('all orders of a call’s callbacks end in the same call and one job', async () => {
  const statuses = ['initiated', 'in-progress', 'completed']
  const events = [
    ...statuses.map((status) => ['status', status]),
    ['recording', 'in-progress'],
    ['recording', 'completed'],
  ]
  const orders = permutations(events).map((order) => ({ order, call: newInbound() }))
  expect(orders).toHaveLength(120)
  const play = async (): Promise<void> => {
    for (let next = orders.pop(); next; next = orders.pop()) {
      const { order, call } = next
      stage.twilio.addCall(call)
      await playInOrder(
        order.map(([kind, status]) =>
          kind === 'status' ? statusCallback(call, status) : stage.recordingCallback(call, status),
        ),
      )
      await expectOneRecordedCall(call)
    }
  }
  await Promise.all(Array.from({ length: 12 }, play))
})

test('the same callbacks 20 times at once, taken by two processes, are two rows, one call and one job', async () => {
  const other = await openIngress(database)
  other.ingress.start()
  const call = newInbound()
  stage.twilio.addCall(call)
  other.twilio.addCall(call)
  const posts = Array.from({ length: 20 }, (_, index) => {
    const at = index % 2 === 0 ? stage : other
    return [at.post(statusCallback(call)), at.post(stage.recordingCallback(call))]
  })
  const answers = await Promise.all(posts.flat())
  expect(answers.map((answer) => answer.status)).toEqual(Array(40).fill(204))
  const rows = await settled(database, call.callSid, 2)
  expect(rows.map((row) => row.state)).toEqual(['matched', 'matched'])
  await expectOneRecordedCall(call)
  // Its Twilio knows none of the calls of the tests that follow.
  await other.close()
})

describe('a leg belongs to its parent', () => {
  const play = async (order: SentCallback[], parent: TwilioCall, leg: TwilioCall) => {
    await playInOrder(order)
    await eventually('all are matched', async () => {
      const rows = [...(await callbacksOf(database, parent.callSid)), ...(await callbacksOf(database, leg.callSid))]
      return rows.length === order.length && rows.every((row) => row.state === 'matched')
    })
    await expectOneRecordedCall(parent, leg.recordingSid)
    expect(await callsOf(database, leg.callSid)).toEqual([])
  }
  const family = () => {
    const parent = newInbound()
    const leg = newCall({ direction: 'outbound-dial', from: ours, to: '+972509876543', parentCallSid: parent.callSid })
    const shorter = { startedAt: new Date(parent.startedAt.getTime() + 9_000), durationSec: 99 }
    return { parent, leg: { ...leg, ...shorter } }
  }
  const orders = permutations(['parent', 'leg', 'recording'])
  const callback = (what: string, parent: TwilioCall, leg: TwilioCall): SentCallback => {
    if (what === 'recording') return stage.recordingCallback(leg)
    return statusCallback(what === 'parent' ? parent : leg)
  }

  test.each(orders)('%s, %s, %s', async (...order) => {
    const { parent, leg } = family()
    stage.twilio.addCall(parent)
    stage.twilio.addCall(leg)
    await play(
      order.map((what) => callback(what, parent, leg)),
      parent,
      leg,
    )
  })

  test.each(orders)('%s, %s, %s, though Twilio’s Call resource knows neither', async (...order) => {
    const { parent, leg } = family()
    await play(
      order.map((what) => callback(what, parent, leg)),
      parent,
      leg,
    )
  })

  test.each(orders)('%s, %s, %s, each with ?business_id=', async (...order) => {
    const { parent, leg } = family()
    stage.twilio.addCall(leg)
    stage.twilio.addCall(parent)
    const query = 'business_id=10'
    await play(
      order.map((what) => ({ ...callback(what, parent, leg), query })),
      parent,
      leg,
    )
  })

  test('a leg of a leg too', async () => {
    const { parent, leg } = family()
    const legOfLeg = newCall({ direction: 'outbound-dial', parentCallSid: leg.callSid })
    for (const call of [parent, leg, legOfLeg]) stage.twilio.addCall(call)
    await playInOrder([stage.recordingCallback(legOfLeg), statusCallback(legOfLeg), statusCallback(leg)])
    await expectOneRecordedCall(parent, legOfLeg.recordingSid)
    expect(await callsOf(database, leg.callSid)).toEqual([])
  })
})

test('what is stored by a process that dies right after its answer is matched by another', async () => {
  const dies = await openIngress(database)
  const call = newInbound()
  await dies.post(statusCallback(call))
  await dies.post(dies.recordingCallback(call))
  await dies.close()
  await settled(database, call.callSid, 2)
  await expectOneRecordedCall(call)
})

describe('matching waits', () => {
  test('while somebody changes the call', async () => {
    const call = newInbound()
    await database.knex.transaction(async (trx) => {
      await lockCall(trx, call.callSid)
      await stage.post(statusCallback(call))
      await untilSomebodyWaits(database, 'advisory')
      expect(await callsOf(database, call.callSid)).toEqual([])
    })
    await settled(database, call.callSid, 1)
    expect(await callsOf(database, call.callSid)).toHaveLength(1)
  })

  test('while somebody changes a business, so that the change misses no callback', async () => {
    await putBusiness(database, '12', {})
    const call = newInbound({ to: '+97237000012' })
    await database.knex.transaction(async (trx) => {
      await lockBusinessesForChange(trx)
      await reopenUnmatchedCallbacks(trx, '12', [call.to])
      await stage.post(statusCallback(call))
      await untilSomebodyWaits(database, 'advisory')
      await trx('callbox.phone_numbers').insert({ phone_number: call.to, business_id: '12' })
    })
    expect(await settled(database, call.callSid, 1)).toMatchObject([{ state: 'matched', business_id: '12' }])
  })
})

test('a callback whose matching throws is put off and tried again, and the others go on', async () => {
  const [cursed, blessed] = [newInbound(), newInbound()]
  await database.pool.query(`alter table calls add constraint cursed check (call_sid <> '${cursed.callSid}') not valid`)
  await stage.post(statusCallback(cursed))
  await stage.post(statusCallback(blessed))
  await settled(database, blessed.callSid, 1)
  await eventually('it is put off', async () => (await callbacksOf(database, cursed.callSid))[0]?.reason !== null)
  await database.pool.query('alter table calls drop constraint cursed')
  await settled(database, cursed.callSid, 1)
  expect(await callsOf(database, cursed.callSid)).toHaveLength(1)
})

test('no statement of the matching reads all stored callbacks', async () => {
  await database.pool.query(
    `insert into twilio_callbacks (kind, call_sid, query, body, state, business_id)
     select 'call_status', 'CAold' || n, '', '', case when n % 10 = 0 then 'unmatched' else 'matched' end, 10
     from generate_series(1, 30000) n`,
  )
  await database.pool.query('analyze twilio_callbacks')
  const scans = async () => {
    const { rows } = await database.pool.query(
      `select seq_scan::int, idx_scan::int from pg_stat_user_tables where relname = 'twilio_callbacks'`,
    )
    return rows[0]
  }
  await stage.ingress.stop()
  await database.knex.destroy()
  database.knex.initialize()
  await eventually('the stopped connections have reported', async () => {
    const before = await scans()
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    return (await scans()).idx_scan === before.idx_scan
  })
  const before = await scans()

  const knex = createKnex(database.url, defaultSchema, 'callbox test', 6)
  const measured = await openIngress({ url: database.url, knex })
  measured.ingress.start()
  const call = newInbound({ to: '+97237000777' })
  measured.twilio.addCall(call)
  await measured.post(measured.recordingCallback(call))
  await measured.post(statusCallback(call))
  await eventually('both are unmatched', async () => {
    const { rows } = await database.pool.query(
      `select from twilio_callbacks where call_sid = $1 and state = 'unmatched'`,
      [call.callSid],
    )
    return rows.length === 2
  })
  await putBusiness(database, '77', {})
  await registerNumber({ ...database, knex }, '77', call.to)
  await eventually('the call is known', async () => (await callsOf(database, call.callSid)).length === 1)
  await measured.close()
  await knex.destroy()
  const after = await eventually('the scans are reported', async () => {
    const now = await scans()
    return now.idx_scan > before.idx_scan && now
  })
  expect(after.seq_scan).toBe(before.seq_scan)
})
