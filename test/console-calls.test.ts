import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startConsole, type TestConsole, textOf, type Visitor } from './helpers/console.ts'
import { hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { enqueue } from './helpers/outbox.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})
beforeEach(async () => {
  await emptyTables(
    database,
    'calls, call_recordings, call_details, call_steps, twilio_callbacks, businesses, routes, webhook_outbox, audit',
  )
})

const call = (callSid: string, columns: Record<string, unknown> = {}) =>
  database.knex('callbox.calls').insert({ business_id: 1, call_sid: callSid, direction: 'inbound', ...columns })
const step = (callSid: string, name: string, columns: Record<string, unknown>) =>
  database.knex('callbox.call_steps').insert({ business_id: 1, call_sid: callSid, step: name, ...columns })

const callsOn = (text: string): string[] =>
  [...text.matchAll(/class="opens" href="\/console\/calls\/([^"]+)"/g)].map((match) => match[1] ?? '')

describe('calls', () => {
  test('are listed, filtered and paged', async () => {
    await call('CA1', { created_at: '2025-12-10T14:01:00Z', state: 'failed', error: `400 ${hostile}`, city: hebrew })
    await call('CA2', { created_at: '2025-12-10T14:02:00Z', direction: 'outbound', to_number: '+972501234567' })
    await call('CA3', { created_at: '2025-12-10T14:03:00Z', business_id: 2, state: 'completed' })
    const { text } = await night.get('/console/calls')
    expect(callsOn(text)).toEqual(['CA3', 'CA2', 'CA1'])
    for (const told of [`400 ${hostile}`, hebrew, '+972501234567']) expect(textOf(text)).toContain(told)
    expect(text).not.toContain('<script>alert')
    for (const [query, calls] of [
      ['state=failed', ['CA1']],
      ['business_id=2', ['CA3']],
      ['direction=outbound', ['CA2']],
      ['since=2025-12-10T14:02', ['CA3', 'CA2']],
      ['until=2025-12-10T14:02', ['CA1']],
    ] as const) {
      expect([query, callsOn((await night.get(`/console/calls?${query}`)).text)]).toEqual([query, calls])
    }
    const first = await night.get('/console/calls?limit=2')
    const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    expect(callsOn((await night.get(next)).text)).toEqual(['CA1'])
    expect((await night.get('/console/calls?state=lost')).status).toBe(400)
    expect((await night.get('/console/calls?call_sid=%20CA2')).headers.get('location')).toBe('/console/calls/CA2')
    const wrong = await night.get(`/console/calls?call_sid=${encodeURIComponent(hostile)}`)
    expect(wrong.status).toBe(400)
    expect(wrong.text).toMatch(/id="call_sid-error">got .*expected a CallSid/)
    expect(wrong.text).not.toContain('<script>alert')
  })

  test('one shows its recordings, including one that came after completion, and can be reprocessed', async () => {
    await call('CA1', { state: 'completed', completed_at: '2025-12-10T14:24:00Z' })
    const recording = { business_id: 1, call_sid: 'CA1' }
    await database.knex('callbox.call_recordings').insert([
      { ...recording, recording_sid: 'RE1', state: 'transcribed', duration_sec: 24 },
      { ...recording, recording_sid: 'RE2', state: 'unusable', error: hostile, source: hostile },
      { ...recording, recording_sid: 'RE3', state: 'waiting' },
    ])
    const { text } = await night.get('/console/calls/CA1')
    for (const told of ['RE1', 'RE2', 'RE3', '24 s', hostile, 'It came after the call was completed.']) {
      expect(textOf(text)).toContain(told)
    }
    expect(text).not.toContain('<script>alert')
    expect(text).toContain('action="/console/calls/CA1/reprocess"')
  })

  test('one shows its steps, what it was about, and its deliveries', async () => {
    const times = { started_at: '2025-12-10T14:23:19Z', ended_at: '2025-12-10T14:23:45Z', duration_sec: 26 }
    const words = {
      transcript: `${hebrew}\n${hostile}`,
      summary: `### ${hostile}`,
      city: hebrew,
      service_category: hostile,
    }
    await call('CA1', { ...times, ...words, state: 'failed', error: hostile, failed_at: '2025-12-10T14:30:00Z' })
    await database.knex('callbox.call_details').insert({
      ...{ call_sid: 'CA1', customer_name: hebrew, agent_name: hostile, lead_id: 'L1' },
      metadata: JSON.stringify({ [hostile]: hostile }),
    })
    await step('CA1', 'audio', {
      attempts: 2,
      started_at: '2025-12-10T14:24:00Z',
      finished_at: '2025-12-10T14:24:01.9Z',
    })
    await step('CA1', 'transcript', { attempts: 5, started_at: '2025-12-10T14:25:00Z', error: `500 ${hostile}` })
    const id = await enqueue(database, '1', 'CA1')
    const { status, text } = await night.get('/console/calls/CA1')
    expect(status).toBe(200)
    expect(text).not.toContain('<script>alert')
    expect(text).not.toContain('hx-get')
    for (const told of [
      ...[`${hebrew}\n${hostile}`, `### ${hostile}`, `"${hostile.replaceAll('"', '\\"')}"`, 'L1', '26 s'],
      ...['audio✓done1.9 s2 attempts', '2025-12-10 14:24:00 UTC', 'transcript✕failed5 attempts', `500 ${hostile}`],
    ]) {
      expect(textOf(text)).toContain(told)
    }
    expect(text).toContain(`href="/console/deliveries/${id}"`)
    expect(text).toMatch(/<p class="text" dir="auto">/)
  })

  test('one with a very long transcript shows the start of it', async () => {
    await call('CA1', { state: 'completed', transcript: `${'a'.repeat(100_000)}${'b'.repeat(900_000)}` })
    const { text } = await night.get('/console/calls/CA1')
    expect(text.length).toBeLessThan(150_000)
    expect(text).toContain('The first 100,000 of 1,000,000 characters; the admin API has all of it.')
    expect(text).not.toContain('aab')
  })

  test('one that is under way brings itself up to date', async () => {
    await call('CA1', { state: 'processing' })
    await step('CA1', 'audio', { attempts: 1 })
    const { text } = await night.get('/console/calls/CA1/progress')
    expect(text).toMatch(
      /^<div id="progress" class="live" hx-get="\/console\/calls\/CA1\/progress" hx-trigger="every 3s"/,
    )
    expect(textOf(text)).toContain('audio▸running')
  })

  test('a failed one is processed again', async () => {
    await call('CA1', { state: 'failed', error: 'no' })
    expect((await night.get('/console/calls/CA1')).text).toContain('action="/console/calls/CA1/reprocess"')
    expect((await night.post('/console/calls/CA1/reprocess', { csrf: 'x' })).status).toBe(403)
    const page = await night.follow(await night.post('/console/calls/CA1/reprocess'))
    expect(page.text).toContain('The call is queued again.')
    expect(textOf(page.text)).toContain('queued')
    expect(page.text).not.toContain('/reprocess"')
    expect((await night.post('/console/calls/CA1/reprocess')).status).toBe(409)
    const { rows } = await database.pool.query('select action, operator, call_sid from audit')
    expect(rows).toEqual([{ action: 'call.reprocessed', operator: 'night', call_sid: 'CA1' }])
  })

  test.each([
    ['CA404', 404],
    ['%3Cscript%3E', 400],
  ])('one that is none: %s', async (sid, status) => {
    for (const part of ['', '/progress']) expect((await night.get(`/console/calls/${sid}${part}`)).status).toBe(status)
    expect((await night.post(`/console/calls/${sid}/reprocess`)).status).toBe(status)
  })
})

describe('callbacks', () => {
  const callback = (columns: Record<string, unknown>) =>
    database.knex('callbox.twilio_callbacks').insert({ kind: 'call_status', query: '', body: '', ...columns })

  test('that belong to no business come first, with why', async () => {
    await callback({ call_sid: 'CAmatched', state: 'matched', business_id: 1 })
    await callback({ call_sid: 'CAnew', state: 'new', parent_call_sid: 'CAparent' })
    const numbers = { from_number: '+15550000001', to_number: `${hostile}` }
    await callback({ call_sid: `CA${hostile}`, state: 'unmatched', reason: `nobody has ${hostile}`, ...numbers })
    const { text } = await night.get('/console/callbacks')
    expect(text).not.toContain('<script>alert')
    expect(textOf(text)).toContain(`nobody has ${hostile}`)
    expect(textOf(text)).toContain('+15550000001')
    expect(textOf(text)).toMatch(/CAnewleg of CAparent/)
    expect(text).not.toContain('href="/console/calls/')
    expect(textOf(text)).toContain(`CA${hostile}`)
    expect(text).not.toContain('CAmatched')
    expect((await night.get('/console/callbacks?matched=true')).text).toMatch(
      /href="\/console\/calls\/CAmatched"[\s\S]*href="\/console\/businesses\/1"/,
    )
    expect((await night.get('/console/callbacks?matched=true')).text).not.toContain('CAnew')
    expect((await night.get('/console/callbacks?matched=')).text).toMatch(/CAnew[\s\S]*CAmatched/)
    expect((await night.get('/console/callbacks?matched=maybe')).status).toBe(400)
  })

  test('are paged', async () => {
    for (const sid of ['CA1', 'CA2', 'CA3']) await callback({ call_sid: sid, state: 'unmatched' })
    const first = await night.get('/console/callbacks?limit=2')
    expect(first.text).toMatch(/CA3[\s\S]*CA2/)
    const next = /rel="next" href="([^"]+)"/.exec(first.text)?.[1]?.replaceAll('&amp;', '&') ?? ''
    const second = await night.get(next)
    expect(second.text).toContain('CA1')
    expect(second.text).not.toContain('CA2')
  })

  test('there is none', async () => {
    expect((await night.get('/console/callbacks')).text).toContain('Every callback has found its business.')
  })
})
