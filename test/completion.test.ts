import { beforeAll, describe, expect, test } from 'vitest'
import { completeCall } from '../src/pipeline/completion.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { knexThatDiesAfter } from './helpers/dying-knex.ts'

const results = { transcript: 'a transcript', summary: '### a summary', city: 'Haifa', service_category: 'rent' }

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

let calls = 0
async function callToComplete(columns: Record<string, unknown> = {}) {
  calls++
  const job = { businessId: '10', callSid: `CA${calls}` }
  await database.knex('callbox.calls').insert({
    direction: 'inbound',
    business_id: 10,
    call_sid: job.callSid,
    state: 'processing',
    ...columns,
  })
  const step = { business_id: 10, call_sid: job.callSid, attempts: 1 }
  await database.knex('callbox.call_steps').insert([
    { ...step, step: 'transcript', result: '"a transcript"', finished_at: new Date() },
    { ...step, step: 'completion' },
  ])
  return job
}

async function everythingOf(callSid: string) {
  const rows = async (sql: string) => (await database.pool.query(sql, [callSid])).rows
  return {
    calls: await rows('select * from calls where call_sid = $1'),
    steps: await rows('select * from call_steps where call_sid = $1 order by step'),
    outbox: await rows(
      'select v.*, o.payload::text from webhook_deliveries v join webhook_outbox o using (business_id, id) where v.call_sid = $1',
    ),
  }
}

describe('the transaction that completes a call', () => {
  test('leaves neither results nor an outbox row when it fails after any of its statements', async () => {
    const counting = knexThatDiesAfter(database.url, Number.POSITIVE_INFINITY)
    const whole = await callToComplete()
    expect((await completeCall(counting.knex, whole, 0, results)).ok).toBe(true)
    const written = await everythingOf(whole.callSid)
    expect(written.calls[0]).toMatchObject({ state: 'completed', ...results })
    expect(written.outbox).toHaveLength(1)
    const statements = [...counting.statements]
    expect(statements[0]).toMatch(/^BEGIN/i)
    expect(statements.at(-1)).toMatch(/^COMMIT/i)
    expect(statements.join('\n')).toContain('callbox_enqueue')

    for (let n = 1; n < statements.length; n++) {
      const job = await callToComplete()
      const before = await everythingOf(job.callSid)
      await expect(completeCall(knexThatDiesAfter(database.url, n).knex, job, 0, results)).rejects.toThrow()
      expect(await everythingOf(job.callSid), `after ${statements[n - 1]}`).toEqual(before)
      expect((await completeCall(database.knex, job, 0, results)).ok).toBe(true)
      expect((await everythingOf(job.callSid)).outbox).toHaveLength(1)
    }
  })

  test('has completed the call once when its commit is not heard', async () => {
    const counting = knexThatDiesAfter(database.url, Number.POSITIVE_INFINITY)
    await completeCall(counting.knex, await callToComplete(), 0, results)
    const job = await callToComplete()
    await expect(
      completeCall(knexThatDiesAfter(database.url, counting.statements.length).knex, job, 0, results),
    ).rejects.toThrow()
    const committed = await everythingOf(job.callSid)
    expect(committed.calls[0].state).toBe('completed')
    expect(committed.outbox).toHaveLength(1)
    expect(await completeCall(database.knex, job, 0, results)).toEqual({ ok: false, setback: { kind: 'over' } })
    expect(await everythingOf(job.callSid)).toEqual(committed)
  })

  test('completes once when two runs come to it at once', async () => {
    const job = await callToComplete()
    const outcomes = await Promise.all([1, 2, 3, 4].map(() => completeCall(database.knex, job, 0, results)))
    expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1)
    expect((await everythingOf(job.callSid)).outbox).toHaveLength(1)
  })

  test('takes what the platform said until that moment', async () => {
    const job = await callToComplete({ direction: 'outbound', from_number: '+1', to_number: '+2' })
    await database.knex('callbox.call_details').insert({
      call_sid: job.callSid,
      lead_id: '7',
      customer_name: 'Dana',
      agent_name: 'Agent',
      metadata: '{ "z": 1, "a": [] }',
    })
    await completeCall(database.knex, job, 0, results)
    const { rows } = await database.pool.query('select payload::text from webhook_outbox where call_sid = $1', [
      job.callSid,
    ])
    expect(rows[0].payload).toContain('"lead_id":"7","phone":"+2","customer_name":"Dana","direction":"outbound"')
    expect(rows[0].payload).toMatch(/"agent_name":"Agent","metadata":\{"z":1,"a":\[\]\}\}$/)
  })

  test('does not complete a call that has failed', async () => {
    const job = await callToComplete({ state: 'failed', error: 'no audio' })
    const before = await everythingOf(job.callSid)
    expect(await completeCall(database.knex, job, 0, results)).toEqual({ ok: false, setback: { kind: 'over' } })
    expect(await everythingOf(job.callSid)).toEqual(before)
  })
})
