import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Outcome } from '../src/dispatcher/sending/retry-policy.ts'
import { settleParameter } from '../src/dispatcher/settling/settle-parameter.ts'
import type { Settlement } from '../src/dispatcher/settling/settler.ts'
import { createTestDatabase } from './helpers/database.ts'
import { dueDelivery } from './helpers/due-delivery.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { attemptsOf, enqueue } from './helpers/outbox.ts'

const database = await createTestDatabase()

const outcomes: Record<string, Outcome> = {
  delivered: { status: 'delivered', reason: null },
  pending: { status: 'pending', reason: null, waitMs: 3_600_000, step: 1 },
  failed: { status: 'failed', reason: 'no 2xx' },
  skipped: { status: 'skipped', reason: 'no URL' },
}

const post = { result: 'ok', statusCode: 200, error: null, excerpt: null, retryAfterMs: null, durationMs: 1 } as const

function settlementOf(id: string, outcome: Outcome): Settlement {
  const attempt = {
    id: randomUUID(),
    startedMs: Date.now(),
    url: 'http://a/',
    result: { ...post, keptConnectionClosed: false },
  }
  return { delivery: dueDelivery({ id }), attempt: outcome.status === 'skipped' ? null : attempt, outcome }
}

/** @returns the ids that it did not change. */
async function settle(settlements: Settlement[], isRepeated = false): Promise<string[]> {
  const { rows } = await database.pool.query<{ what: string; name: string }>(
    'select what, name from callbox.callbox_settle($1::callbox.webhook_settlement[], $2)',
    [settleParameter(settlements), isRepeated],
  )
  return rows.filter(({ what }) => what === 'superseded').map(({ name }) => name)
}

/** The due row and the dead letter of a delivery. */
async function stateOf(id: string): Promise<unknown> {
  const { rows } = await database.pool.query(
    `select (select json_build_object('version', version, 'count', attempt_count) from webhook_due where id = $1) as due,
            (select status from webhook_dead_letters where id = $1) as dead`,
    [id],
  )
  return rows[0]
}

let calls = 0
const newDelivery = (): Promise<string> => enqueue(database, '1', `CA${++calls}`)

/** Changes that commit while a settle waits for its lock. */
const changes: Record<string, string> = {
  'a newer version': 'update webhook_due set version = version + 1, due_at = now() where id = $1',
  'a removal': 'delete from webhook_due where id = $1',
}

describe.each(Object.entries(outcomes))('a settle: %s', (_status, outcome) => {
  test.each(Object.entries(changes))('changes nothing after %s that committed while it waited', async (_name, sql) => {
    const [changed, other] = [await newDelivery(), await newDelivery()]
    const client = await database.pool.connect()
    await client.query('begin')
    await client.query(sql, [changed])
    const settlements = [settlementOf(changed, outcome), settlementOf(other, outcome)]
    const settling = settle(settlements)
    await untilSomebodyWaits(database, 'transactionid')
    await client.query('commit')
    client.release()
    expect(await settling).toEqual([changed])
    expect(await stateOf(changed)).toEqual({
      due: sql.startsWith('update') ? { version: 1, count: 0 } : null,
      dead: null,
    })
    expect(await attemptsOf(database, changed)).toHaveLength(outcome.status === 'skipped' ? 0 : 1)
    expect(await stateOf(other)).not.toEqual({ due: { version: 0, count: 0 }, dead: null })
  })

  test('takes effect after a change that was rolled back', async () => {
    const id = await newDelivery()
    const client = await database.pool.connect()
    await client.query('begin')
    await client.query('delete from webhook_due where id = $1', [id])
    const settling = settle([settlementOf(id, outcome)])
    await untilSomebodyWaits(database, 'transactionid')
    await client.query('rollback')
    client.release()
    expect(await settling).toEqual([])
    expect(await stateOf(id)).not.toEqual({ due: { version: 0, count: 0 }, dead: null })
  })

  test('that is repeated, in a batch that the first run had not all of, changes and reports nothing twice', async () => {
    const [first, second] = [settlementOf(await newDelivery(), outcome), settlementOf(await newDelivery(), outcome)]
    expect(await settle([first])).toEqual([])
    const before = await stateOf(first.delivery.id)
    // A half of a bisected batch was committed, the other was not.
    expect(await settle([first, second], true)).toEqual([])
    expect(await stateOf(first.delivery.id)).toEqual(before)
    expect(await settle([first, second], true)).toEqual([])
    expect(await attemptsOf(database, first.delivery.id)).toHaveLength(first.attempt === null ? 0 : 1)
  })

  test('of an earlier life leaves the later one alone, repeated or not', async () => {
    const settlement = settlementOf(await newDelivery(), outcome)
    const { id } = settlement.delivery
    await settle([settlement])
    await database.pool.query('delete from webhook_due where id = $1', [id])
    await database.pool.query('delete from webhook_dead_letters where id = $1', [id])
    const version = 1_800_000_000_000_000
    await database.pool.query(
      `insert into webhook_due (business_id, id, direction, bytes, version) values (1, $1, 'inbound', 2, $2)`,
      [id, version],
    )
    for (const isRepeated of [true, true]) await settle([settlement], isRepeated)
    await settle([settlementOf(id, outcome)])
    expect(await stateOf(id)).toEqual({ due: { version, count: 0 }, dead: null })
  })
})
