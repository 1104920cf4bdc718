import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { setDeliveries } from './helpers/outbox.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

const enqueue = 'select callbox_enqueue($1, $2, $3, $4, $5) as id'
const count = async (): Promise<number> => {
  const { rows } = await database.pool.query('select count(*)::int as n from webhook_deliveries')
  return rows[0].n
}

describe('callbox_enqueue', () => {
  test('repeating it returns the same id and changes nothing', async () => {
    const first = await database.pool.query(enqueue, [10, 'CA1', 'call.completed', 'inbound', '{"a": 1}'])
    const again = await database.pool.query(enqueue, [10, 'CA1', 'call.completed', 'inbound', '{"a":2}'])
    expect(again.rows).toEqual(first.rows)
    const { rows } = await database.pool.query(
      'select payload::text, version, status from webhook_deliveries join webhook_outbox using (business_id, id)',
    )
    expect(rows).toEqual([{ payload: '{"a": 1}', version: '0', status: 'pending' }])
  })

  test('the id is of the business, the call and the event type', async () => {
    const ids = new Set<string>()
    for (const parts of [
      [11, 'CA1', 'call.completed'],
      [12, 'CA1', 'call.completed'],
      [11, 'CA2', 'call.completed'],
      [11, 'CA1', 'call.ended'],
    ]) {
      const { rows } = await database.pool.query(enqueue, [...parts, 'inbound', '{}'])
      expect(rows[0].id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
      ids.add(rows[0].id)
    }
    expect(ids.size).toBe(4)
  })

  test('a key makes another event of the same call and type; keys and calls are never mixed up', async () => {
    const ids = new Set<string>()
    for (const [call, key] of [
      ['CA1', ''],
      ['CA1', '1'],
      ['CA1', '2'],
      ['CA11', ''],
      ['CA', '11'],
      ['CA11', '1'],
      ['3;CA1', ''],
      ['CA1;', '1'],
      ['CA1', ';1'],
    ]) {
      const { rows } = await database.pool.query(
        `select callbox_enqueue(14, $1, 'call.updated', 'inbound', '{}', $2) as id,
                callbox_delivery_id(14, $1, 'call.updated', $2) as expected`,
        [call, key],
      )
      expect(rows[0].id).toBe(rows[0].expected)
      ids.add(rows[0].id)
    }
    expect(ids.size).toBe(9)
    const again = await database.pool.query(
      `select callbox_enqueue(14, 'CA1', 'call.updated', 'inbound', '{}', '2') as id`,
    )
    expect(ids).toContain(again.rows[0].id)
  })

  test('takes json, jsonb, and a literal, and stores the text as it was given', async () => {
    for (const [call, payload] of [
      ['CA-json', `'{"b":1,  "a":2}'::json`],
      ['CA-literal', `'{"b":1,  "a":2}'`],
      ['CA-jsonb', `'{"b":1,  "a":2}'::jsonb`],
    ]) {
      await database.pool.query(`select callbox_enqueue(15, '${call}', 'call.completed', 'inbound', ${payload})`)
    }
    const { rows } = await database.pool.query(
      'select call_sid, payload::text from webhook_outbox where business_id = 15 order by call_sid desc',
    )
    expect(rows).toEqual([
      { call_sid: 'CA-literal', payload: '{"b":1,  "a":2}' },
      { call_sid: 'CA-jsonb', payload: '{"a": 2, "b": 1}' },
      { call_sid: 'CA-json', payload: '{"b":1,  "a":2}' },
    ])
  })

  test('an event names the previous one of its call on its route while that is pending, and no other', async () => {
    const enqueueEvent = async (call: string, type: string, direction = 'inbound'): Promise<string> => {
      const { rows } = await database.pool.query(enqueue, [16, call, type, direction, '{}'])
      return rows[0].id
    }
    const ended = await enqueueEvent('CA1', 'call.ended')
    const completed = await enqueueEvent('CA1', 'call.completed')
    const updated = await enqueueEvent('CA1', 'call.updated')
    await enqueueEvent('CA1', 'call.elsewhere', 'outbound')
    await enqueueEvent('CA2', 'call.ended')
    await setDeliveries(database, 'id = $1', [updated], { status: 'delivered' })
    const last = await enqueueEvent('CA1', 'call.last')
    const { rows } = await database.pool.query(
      'select id, after from webhook_due where business_id = 16 and after is not null',
    )
    expect(rows).toEqual([{ id: completed, after: ended }])
    expect(last).not.toBe(completed)
  })

  test('a program needs the right to insert, and can read or change no payload with it', async () => {
    const client = await database.pool.connect()
    try {
      await client.query('begin')
      await client.query(`
        create role enqueue_test_program;
        grant usage on schema callbox to enqueue_test_program;
        grant insert on webhook_outbox, webhook_due to enqueue_test_program;
        grant select (business_id, id, call_sid, direction, created_at) on webhook_outbox to enqueue_test_program;
        grant select (business_id, id) on webhook_due to enqueue_test_program;
        grant select, insert on routes to enqueue_test_program;
        set local role enqueue_test_program`)
      const ids = new Set<string>()
      for (const call of ['CA1', 'CA2', 'CA1']) {
        ids.add((await client.query(enqueue, [21, call, 'call.completed', 'inbound', '{}'])).rows[0].id)
      }
      expect(ids.size).toBe(2)
      await client.query('savepoint tried')
      for (const statement of [
        'select payload from webhook_outbox',
        `update webhook_outbox set payload = '{}'`,
        'delete from webhook_due',
      ]) {
        await expect(client.query(statement)).rejects.toThrow(/permission denied for table webhook_(outbox|due)/)
        await client.query('rollback to savepoint tried')
      }
    } finally {
      await client.query('rollback')
      client.release()
    }
  })

  test('an event that was deleted by hand can be enqueued again although its due row is left', async () => {
    const event = [22, 'CA1', 'call.completed', 'inbound']
    await database.pool.query(enqueue, [...event, '{"a":1}'])
    await database.pool.query('delete from webhook_outbox where business_id = 22')
    await database.pool.query(enqueue, [...event, '{"a":2}'])
    const { rows } = await database.pool.query(
      'select payload::text, count(d.id)::int as due from webhook_outbox o join webhook_due d using (business_id, id) where business_id = 22 group by 1',
    )
    expect(rows).toEqual([{ payload: '{"a":2}', due: 1 }])
  })

  test('a rolled-back one leaves nothing', async () => {
    const before = await count()
    const client = await database.pool.connect()
    await client.query('begin')
    await client.query(enqueue, [13, 'CA1', 'call.completed', 'inbound', '{}'])
    await client.query('rollback')
    client.release()
    expect(await count()).toBe(before)
  })

  test.each([
    ['business_id', [0, 'CA1', 'call.completed', 'inbound', '{}']],
    ['call_sid', [1, '', 'call.completed', 'inbound', '{}']],
    ['event_type', [1, 'CA1', 'Call Completed', 'inbound', '{}']],
    ['direction', [1, 'CA1', 'call.completed', 'sideways', '{}']],
    ['payload must be json, got null', [1, 'CA1', 'call.completed', 'inbound', null]],
    ['key must be at most 255 characters', [1, 'CA1', 'call.completed', 'inbound', '{}', 'k'.repeat(256)]],
    ['at most 1048576 bytes', [1, 'CA1', 'call.completed', 'inbound', JSON.stringify('a'.repeat(1_048_576))]],
  ])('refuses a bad %s and says what would be right', async (says, values) => {
    const before = await count()
    const sql = values.length === 5 ? enqueue : 'select callbox_enqueue($1, $2, $3, $4, $5, $6) as id'
    await expect(database.pool.query(sql, values)).rejects.toThrow(says)
    expect(await count()).toBe(before)
  })

  test('a new route that another transaction is making does not block a known one', async () => {
    await database.pool.query(enqueue, [20, 'CA0', 'call.completed', 'inbound', '{}'])
    const slow = await database.pool.connect()
    await slow.query('begin')
    await slow.query(enqueue, [20, 'CA1', 'call.completed', 'inbound', '{}'])
    await database.pool.query(enqueue, [20, 'CA2', 'call.completed', 'inbound', '{}'])
    await slow.query('commit')
    slow.release()
    const { rows } = await database.pool.query(
      'select call_sid from webhook_deliveries where business_id = 20 order by 1',
    )
    expect(rows.map((row) => row.call_sid)).toEqual(['CA0', 'CA1', 'CA2'])
  })

  test('calls no function of a schema on the search_path of its caller', async () => {
    const client = await database.pool.connect()
    onTestFinished(() => client.release(true))
    await client.query('begin')
    await client.query(`
      create schema trap;
      create function trap.overlay(text, character varying, integer) returns text language sql as 'select 1 / 0; select $1';
      create function trap.left(text, smallint) returns text language sql as 'select 1 / 0; select $1';
      create function trap.convert_to(text, text) returns bytea language sql as 'select 1 / 0; select null::bytea';
      create function trap.encode(bytea, character varying) returns text language sql as 'select 1 / 0; select null';
      set local search_path = callbox, trap`)
    const id = await client.query(enqueue, [18, 'CA-trap', 'call.completed', 'inbound', '{}'])
    const again = await client.query(`select callbox_delivery_id(18, 'CA-trap', 'call.completed') as id`)
    expect(again.rows).toEqual(id.rows)
  })

  test('works whatever the caller has on its search_path', async () => {
    const client = await database.pool.connect()
    await client.query('create schema app; create table app.webhook_outbox (x int); create table app.routes (x int)')
    for (const path of ['app, callbox', 'app', '']) {
      await client.query(`select set_config('search_path', $1, false)`, [path])
      const { rows } = await client.query(
        `select callbox.callbox_enqueue(30, $1, 'call.completed', 'inbound', '{}') as id`,
        [`CA-${path}`],
      )
      const { rows: found } = await database.pool.query('select call_sid from webhook_deliveries where id = $1', [
        rows[0].id,
      ])
      expect(found).toEqual([{ call_sid: `CA-${path}` }])
    }
    client.release(true)
  })
})
