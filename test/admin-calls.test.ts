import { beforeAll, describe, expect, test } from 'vitest'
import { lockCall } from '../src/calls/locks.ts'
import { type AdminApi, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

const insertCall = async (callSid: string, columns: Record<string, unknown> = {}): Promise<void> => {
  await database.knex('callbox.calls').insert({ business_id: 10, call_sid: callSid, direction: 'inbound', ...columns })
}
const get = (callSid: string) => api.send('GET', `/admin/calls/${callSid}`)
const patch = (callSid: string, body: unknown) => api.send('PATCH', `/admin/calls/${callSid}`, body)
const step = (callSid: string, columns: Record<string, unknown>) =>
  database.knex('callbox.call_steps').insert({ business_id: 10, call_sid: callSid, ...columns })

describe('GET', () => {
  test('tells all of a completed call', async () => {
    await insertCall('CAdone', {
      from_number: '+972501234567',
      to_number: '+97231234567',
      state: 'completed',
      started_at: '2025-12-10T14:23:19Z',
      ended_at: '2025-12-10T14:23:45Z',
      duration_sec: 26,
      transcript: 'היי, זה אתר הנדל״ן',
      summary: 'שיווק נכס',
      city: 'בית שאן',
      service_category: 'שיווק נכס',
      completed_at: '2025-12-10T14:24:00Z',
      created_at: '2025-12-10T14:23:20Z',
    })
    await database
      .knex('callbox.call_details')
      .insert({ call_sid: 'CAdone', lead_id: '123', metadata: '{"a":{"b":[1]}}' })
    const times = { started_at: '2025-12-10T14:23:50.5Z', finished_at: '2025-12-10T14:23:51Z' }
    await step('CAdone', { step: 'transcript', attempts: 2, ...times, started_at: '2025-12-10T14:23:52Z' })
    await step('CAdone', { step: 'audio', attempts: 1, ...times, result: '{"secret":"result"}' })
    const recording = { business_id: 10, call_sid: 'CAdone', received_at: '2025-12-10T14:23:50Z' }
    await database.knex('callbox.call_recordings').insert([
      { ...recording, recording_sid: 'RElate', state: 'waiting', url: 'http://secret/' },
      {
        ...{ ...recording, recording_sid: 'RE1', state: 'transcribed', source: 'DialVerb', channels: 2, bytes: 1 },
        ...{ started_at: '2025-12-10T14:23:20Z', duration_sec: 24, transcript: 'a part' },
      },
      {
        ...recording,
        recording_sid: 'RE2',
        state: 'unusable',
        error: 'it is empty',
        started_at: '2025-12-10T14:23:21Z',
      },
    ])
    const answer = await get('CAdone')
    const noWords = { error: null, source: '', channels: null, duration_sec: null }
    expect(answer.json).toEqual({
      recordings: [
        {
          ...{
            recording_sid: 'RE1',
            state: 'transcribed',
            error: null,
            source: 'DialVerb',
            channels: 2,
            duration_sec: 24,
          },
          ...{ started_at: '2025-12-10T14:23:20.000Z', received_at: '2025-12-10T14:23:50.000Z' },
        },
        {
          ...{ ...noWords, recording_sid: 'RE2', state: 'unusable', error: 'it is empty' },
          ...{ started_at: '2025-12-10T14:23:21.000Z', received_at: '2025-12-10T14:23:50.000Z' },
        },
        {
          ...{ ...noWords, recording_sid: 'RElate', state: 'waiting' },
          ...{ started_at: null, received_at: '2025-12-10T14:23:50.000Z' },
        },
      ],
      call_sid: 'CAdone',
      business_id: '10',
      direction: 'inbound',
      from: '+972501234567',
      to: '+97231234567',
      phone: '+972501234567',
      state: 'completed',
      error: null,
      steps: [
        {
          step: 'audio',
          attempts: 1,
          started_at: '2025-12-10T14:23:50.500Z',
          finished_at: '2025-12-10T14:23:51.000Z',
          error: null,
        },
        expect.objectContaining({ step: 'transcript', attempts: 2 }),
      ],
      lead_id: '123',
      customer_name: '',
      agent_name: '',
      city: 'בית שאן',
      service_category: 'שיווק נכס',
      started_at: '2025-12-10T14:23:19.000Z',
      ended_at: '2025-12-10T14:23:45.000Z',
      duration_sec: 26,
      created_at: '2025-12-10T14:23:20.000Z',
      completed_at: '2025-12-10T14:24:00.000Z',
      failed_at: null,
      transcript: 'היי, זה אתר הנדל״ן',
      summary: 'שיווק נכס',
      metadata: { a: { b: [1] } },
    })
  })

  test('tells of a call that nothing is known of but that it is', async () => {
    await insertCall('CAopen', { direction: 'outbound', to_number: '+15550001' })
    expect((await get('CAopen')).json).toMatchObject({
      state: 'open',
      phone: '+15550001',
      steps: [],
      transcript: null,
      metadata: {},
      started_at: null,
    })
  })

  test('an unknown call is 404', async () => {
    expect((await get('CAnone')).status).toBe(404)
  })
})

describe('the list', () => {
  test('filters, and pages newest first over calls of one moment', async () => {
    for (let n = 0; n < 7; n++) {
      const state = n % 2 === 0 ? 'failed' : 'queued'
      const columns = { business_id: 20, state, created_at: '2024-01-01T00:00:00.123456Z' }
      await insertCall(`CAlist${n}`, { ...columns, direction: n === 0 ? 'outbound' : 'inbound' })
    }
    const pages: string[][] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { json } = await api.send('GET', `/admin/calls?business_id=20&limit=3${cursor && `&cursor=${cursor}`}`)
      pages.push(json.items.map((one: { call_sid: string }) => one.call_sid))
      cursor = json.next_cursor
    }
    expect(pages).toEqual([['CAlist6', 'CAlist5', 'CAlist4'], ['CAlist3', 'CAlist2', 'CAlist1'], ['CAlist0']])

    const sids = async (query: string) =>
      (await api.send('GET', `/admin/calls?business_id=20&${query}`)).json.items.map(
        (one: { call_sid: string }) => one.call_sid,
      )
    expect(await sids('state=queued')).toEqual(['CAlist5', 'CAlist3', 'CAlist1'])
    expect(await sids('direction=outbound')).toEqual(['CAlist0'])
    expect(await sids('since=2024-01-01T00:00:00.123456Z&state=queued')).toHaveLength(3)
    expect(await sids('until=2024-01-01T00:00:00.123456Z')).toEqual([])
    expect(await sids(`since=${encodeURIComponent('2024-01-01T02:00:00.123457+02:00')}`)).toEqual([])
    expect((await api.send('GET', '/admin/calls?business_id=21')).json).toEqual({ items: [], next_cursor: null })
  })

  test('leaves the long texts out', async () => {
    const { json } = await api.send('GET', '/admin/calls?state=completed')
    expect(json.items[0]).toMatchObject({ call_sid: 'CAdone', lead_id: '123' })
    expect(Object.keys(json.items[0])).not.toContain('transcript')
  })
})

describe('PATCH', () => {
  test('before the call is known: kept for it, field by field', async () => {
    expect((await patch('CAearly', { lead_id: '77', metadata: { b: 1, a: 'עברית' } })).json).toEqual({
      call_sid: 'CAearly',
      lead_id: '77',
      customer_name: '',
      agent_name: '',
      metadata: { b: 1, a: 'עברית' },
    })
    expect((await get('CAearly')).status).toBe(404)
    const second = await patch('CAearly', { customer_name: 'דנה', agent_name: 'Assistant', lead_id: null })
    expect(second.json).toMatchObject({ lead_id: '', customer_name: 'דנה', metadata: { b: 1, a: 'עברית' } })
    await insertCall('CAearly')
    expect((await get('CAearly')).json).toMatchObject({ customer_name: 'דנה', agent_name: 'Assistant' })
    expect((await patch('CAearly', { metadata: null })).json.metadata).toEqual({})
    expect(api.logs.join('')).not.toContain('דנה')
  })

  test('the order of keys stays', async () => {
    await patch('CAorder', { metadata: { z: 1, a: { y: 2, b: 3 } } })
    const { rows } = await database.pool.query(`select metadata::text from call_details where call_sid = 'CAorder'`)
    expect(rows[0].metadata).toBe('{"z":1,"a":{"y":2,"b":3}}')
  })

  test('is possible in every state but completed', async () => {
    for (const state of ['open', 'queued', 'processing', 'failed', 'completed']) {
      await insertCall(`CAin${state}`, { state })
      const answer = await patch(`CAin${state}`, { lead_id: state })
      expect([state, answer.status]).toEqual([state, state === 'completed' ? 409 : 200])
    }
    expect((await get('CAincompleted')).json.lead_id).toBe('')
  })

  test('that races the completion waits for it, and is then refused', async () => {
    await insertCall('CArace', { state: 'processing' })
    const completion = await database.knex.transaction()
    await lockCall(completion, 'CArace')
    const waiting = patch('CArace', { lead_id: 'too late' })
    await untilSomebodyWaits(database, 'advisory')
    await completion('calls').where({ call_sid: 'CArace' }).update({ state: 'completed' })
    await completion.commit()
    expect((await waiting).status).toBe(409)
    expect(await database.knex('callbox.call_details').where({ call_sid: 'CArace' })).toEqual([])
  })

  const deep = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
  test.each([
    ['lead_id', '{"lead_id": 5}'],
    ['lead_id', `{"lead_id": "${'x'.repeat(201)}"}`],
    ['customer_name', '{"customer_name": "a\\u0000b"}'],
    ['agent_name', '{"agent_name": "\\ud83d"}'],
    ['metadata', '{"metadata": []}'],
    ['metadata', '{"metadata": "x"}'],
    ['metadata', '{"metadata": {"a": "\\u0000"}}'],
    ['metadata', '{"metadata": {"\\u0000": 1}}'],
    ['metadata', '{"metadata": {"a": ["\\udc00"]}}'],
    ['metadata', '{"metadata": {"a": 1e999}}'],
    ['metadata', '{"metadata": {"a": 12345678901234567890}}'],
    ['metadata', `{"metadata": ${deep(21)}}`],
    ['metadata', `{"metadata": ${deep(40_000)}}`],
    ['metadata', `{"metadata": {"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}}`],
    ['metadata', `{"metadata": {"a": "${'x'.repeat(16_384)}"}}`],
    ['city', '{"city": "x"}'],
  ])('refuses a bad %s', async (field, body) => {
    const answer = await patch('CAbad', body)
    expect(answer.status).toBe(400)
    expect(answer.json.errors[0].field).toBe(field)
  })

  test('takes metadata up to its limits', async () => {
    expect((await patch('CAfull', `{"metadata": ${deep(20)}}`)).status).toBe(200)
    expect((await patch('CAfull', { metadata: { a: 'x'.repeat(16_374) } })).status).toBe(200)
    expect((await patch('CAfull', { metadata: { a: -9007199254740991, b: 1.5e-7, c: null } })).status).toBe(200)
  })
})

describe('reprocess', () => {
  test('queues a failed call, once', async () => {
    await insertCall('CAfailed', { state: 'failed', error: 'no audio', failed_at: '2025-01-01T00:00:00Z' })
    const first = await api.send('POST', '/admin/calls/CAfailed/reprocess')
    expect(first.status).toBe(202)
    expect(first.json).toMatchObject({ call_sid: 'CAfailed', state: 'queued', error: null })
    const { rows } = await database.pool.query('select data from callbox_jobs.job')
    expect(rows).toEqual([{ data: { businessId: '10', callSid: 'CAfailed' } }])
    expect((await api.send('POST', '/admin/calls/CAfailed/reprocess')).status).toBe(409)
    expect(JSON.parse(api.logs.find((line) => line.includes('call_reprocessed')) ?? '')).toMatchObject({
      operator: 'night',
      call_sid: 'CAfailed',
    })
  })

  test('queues a completed call too, whose details stay as they are', async () => {
    await insertCall('CAagain', { state: 'completed', completed_at: '2025-01-01T00:00:00Z' })
    const answer = await api.send('POST', '/admin/calls/CAagain/reprocess')
    expect(answer.status).toBe(202)
    expect(answer.json).toMatchObject({ state: 'queued', completed_at: '2025-01-01T00:00:00.000Z' })
    expect((await patch('CAagain', { lead_id: '1' })).status).toBe(409)
  })

  test('no other call, and no call that is not there', async () => {
    for (const state of ['open', 'queued', 'processing']) {
      await insertCall(`CAnot${state}`, { state })
      expect((await api.send('POST', `/admin/calls/CAnot${state}/reprocess`)).status).toBe(409)
    }
    expect((await api.send('POST', '/admin/calls/CAnone/reprocess')).status).toBe(404)
  })
})

describe('callbacks', () => {
  test('those that belong to no business, and the others, newest first', async () => {
    for (const [callSid, state] of [
      ['CA1', 'unmatched'],
      ['CA2', 'matched'],
      ['CA3', 'new'],
      ['CA4', 'unmatched'],
    ]) {
      await database.knex('callbox.twilio_callbacks').insert({
        kind: 'call_status',
        call_sid: callSid,
        query: '',
        body: 'the whole body',
        state,
        from_number: '+1555',
        ...(state === 'matched' ? { business_id: 10, matched_at: '2025-01-01T00:00:00Z' } : { reason: 'nobody fits' }),
      })
    }
    const list = async (query: string) => (await api.send('GET', `/admin/callbacks${query}`)).json
    const sids = async (query: string) => (await list(query)).items.map((one: { call_sid: string }) => one.call_sid)
    expect(await sids('')).toEqual(['CA4', 'CA3', 'CA2', 'CA1'])
    expect(await sids('?matched=true')).toEqual(['CA2'])
    expect(await sids('?matched=false')).toEqual(['CA4', 'CA3', 'CA1'])
    const page = await list('?matched=false&limit=2')
    expect(page.items.map((one: { call_sid: string }) => one.call_sid)).toEqual(['CA4', 'CA3'])
    expect(await sids(`?matched=false&limit=2&cursor=${page.next_cursor}`)).toEqual(['CA1'])
    expect((await list('?matched=false')).items[0]).toEqual({
      id: expect.stringMatching(/^\d+$/),
      kind: 'call_status',
      call_sid: 'CA4',
      parent_call_sid: null,
      from: '+1555',
      to: '',
      state: 'unmatched',
      reason: 'nobody fits',
      business_id: null,
      received_at: expect.stringMatching(/Z$/),
      matched_at: null,
    })
    expect((await list('?matched=true')).items[0].business_id).toBe('10')
  })
})
