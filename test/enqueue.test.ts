import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

const enqueue = 'select callbox_enqueue($1, $2, $3, $4, $5) as id'
const count = async (): Promise<number> => {
  const { rows } = await database.pool.query('select count(*)::int as n from webhook_outbox')
  return rows[0].n
}

describe('callbox_enqueue', () => {
  test('repeating it returns the same id and changes nothing', async () => {
    const first = await database.pool.query(enqueue, [10, 'CA1', 'call.completed', 'inbound', '{"a": 1}'])
    const again = await database.pool.query(enqueue, [10, 'CA1', 'call.completed', 'inbound', '{"a":2}'])
    expect(again.rows).toEqual(first.rows)
    const { rows } = await database.pool.query(
      'select payload::text, version, status from webhook_outbox join webhook_payloads on delivery_id = id',
    )
    expect(rows).toEqual([{ payload: '{"a": 1}', version: 0, status: 'pending' }])
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

  test("its slot is its route's, of a new route and of a known one", async () => {
    for (const call of ['CA1', 'CA2'])
      await database.pool.query(enqueue, [333, call, 'call.completed', 'inbound', '{}'])
    const { rows } = await database.pool.query('select slot from webhook_outbox where business_id = 333')
    expect(rows).toEqual([{ slot: 13 }, { slot: 13 }])
  })

  test('a program needs the right to insert, and can read or change no payload with it', async () => {
    const client = await database.pool.connect()
    try {
      await client.query('begin')
      await client.query(`
        create role enqueue_test_program;
        grant usage on schema callbox to enqueue_test_program;
        grant insert on webhook_outbox, webhook_payloads to enqueue_test_program;
        grant select, insert on routes to enqueue_test_program;
        set local role enqueue_test_program`)
      const ids = new Set<string>()
      for (const call of ['CA1', 'CA2', 'CA1']) {
        ids.add((await client.query(enqueue, [21, call, 'call.completed', 'inbound', '{}'])).rows[0].id)
      }
      expect(ids.size).toBe(2)
      await client.query('savepoint tried')
      for (const statement of ['select payload from webhook_payloads', `update webhook_payloads set payload = '{}'`]) {
        await expect(client.query(statement)).rejects.toThrow('permission denied for table webhook_payloads')
        await client.query('rollback to savepoint tried')
      }
    } finally {
      await client.query('rollback')
      client.release()
    }
  })

  test('a payload whose row was deleted by hand gives way to that of the same event', async () => {
    const event = [22, 'CA1', 'call.completed', 'inbound']
    await database.pool.query(enqueue, [...event, '{"a":1}'])
    await database.pool.query('delete from webhook_outbox where business_id = 22')
    await database.pool.query(enqueue, [...event, '{"a":2}'])
    const { rows } = await database.pool.query('select payload::text from webhook_payloads where business_id = 22')
    expect(rows).toEqual([{ payload: '{"a":2}' }])
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
    ['at most 1048576 bytes', [1, 'CA1', 'call.completed', 'inbound', JSON.stringify('a'.repeat(1_048_576))]],
  ])('refuses a bad %s and says what would be right', async (says, values) => {
    const before = await count()
    await expect(database.pool.query(enqueue, values)).rejects.toThrow(says)
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
    const { rows } = await database.pool.query('select call_sid from webhook_outbox where business_id = 20 order by 1')
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
      const { rows: found } = await database.pool.query('select call_sid from webhook_outbox where id = $1', [
        rows[0].id,
      ])
      expect(found).toEqual([{ call_sid: `CA-${path}` }])
    }
    client.release(true)
  })
})
