import { beforeAll, describe, expect, test } from 'vitest'
import { Route } from '../src/dispatcher/routes/route.ts'
import { settleParameter } from '../src/dispatcher/settling/settle-parameter.ts'
import type { Settlement } from '../src/dispatcher/settling/settler.ts'
import { requeueDelivery } from '../src/outbox/requeue.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { dueDelivery } from './helpers/due-delivery.ts'
import { attemptsOf, deliveryOf, enqueue } from './helpers/outbox.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

const outcomes = {
  delivered: { status: 'delivered', reason: null },
  pending: { status: 'pending', reason: null, waitMs: 3_600_000, step: 3 },
  failed: { status: 'failed', reason: 'HTTP 500 after 8 attempts' },
  skipped: { status: 'skipped', reason: 'no outbound_webhook_url is set' },
} as const
type Outcome = keyof typeof outcomes
const outcomeNames = Object.keys(outcomes) as Outcome[]

/** The settle of a dispatcher that read the delivery at this version. */
function settlementOf(id: string, version: number, outcome: Outcome): Settlement {
  const isOk = outcome === 'delivered'
  return {
    delivery: dueDelivery({ id, version, route: new Route('1', 'inbound') }),
    attempt:
      outcome === 'skipped'
        ? null
        : {
            ...{ id: crypto.randomUUID(), startedMs: Date.now(), url: 'http://127.0.0.1/' },
            result: {
              ...{ result: isOk ? 'ok' : 'http_error', statusCode: isOk ? 200 : 500, error: null, excerpt: null },
              ...{ retryAfterMs: null, durationMs: 7, keptConnectionClosed: false },
            },
          },
    outcome: outcomes[outcome],
  } as Settlement
}

async function settle(settlement: Settlement, isRepeated = false): Promise<unknown[]> {
  const sql = 'select what, name from callbox_settle($1, $2)'
  return (await database.pool.query(sql, [settleParameter([settlement]), isRepeated])).rows
}

const requeue = (id: string) => database.knex.transaction((trx) => requeueDelivery(trx, '1', id))
/** Everything that belongs to the delivery except its attempts. */
const rowsOf = async (id: string) => ({
  due: (await database.pool.query('select * from webhook_due where id = $1', [id])).rows,
  dead: (await database.pool.query('select * from webhook_dead_letters where id = $1', [id])).rows,
})

describe.each(['failed', 'skipped', 'delivered'] as const)('a delivery that ended %s and is requeued', (end) => {
  test.each(outcomeNames.flatMap((late) => [false, true].map((isRepeated) => ({ late, isRepeated }))))(
    'is left as it is by a settle $late of its first life (repeated: $isRepeated), whose attempt is recorded',
    async ({ late, isRepeated }) => {
      const id = await enqueue(database, '1', `CA-${end}-${late}-${isRepeated}`)
      // Two dispatchers have read version 0: one lost its lease during its POST, the other one is the owner.
      const ofFormerOwner = settlementOf(id, 0, late)
      expect(await settle(settlementOf(id, 0, end))).toEqual([])
      expect((await deliveryOf(database, id)).status).toBe(end)
      expect(await requeue(id)).toMatchObject({ outcome: 'due', changed: true })

      const before = await rowsOf(id)
      expect(before.due).toHaveLength(1)
      const attempts = (await attemptsOf(database, id)).length
      expect(await settle(ofFormerOwner, isRepeated)).toEqual([{ what: 'superseded', name: id }])
      expect(await rowsOf(id)).toEqual(before)
      expect(await attemptsOf(database, id)).toHaveLength(attempts + (late === 'skipped' ? 0 : 1))
    },
  )

  test('is settled by the version of its second life, and no version of that fits a third', async () => {
    const id = await enqueue(database, '1', `CA-third-${end}`)
    await settle(settlementOf(id, 0, end))
    await requeue(id)
    const second = Number((await deliveryOf(database, id)).version)
    // The second life retries once, so a former owner may hold two versions of it.
    expect(await settle(settlementOf(id, second, 'pending'))).toEqual([])
    expect(await settle(settlementOf(id, second + 1, end))).toEqual([])
    expect((await deliveryOf(database, id)).status).toBe(end)
    await requeue(id)
    const before = await rowsOf(id)
    for (const version of [0, 1, second, second + 1]) {
      expect(await settle(settlementOf(id, version, 'delivered'))).toEqual([{ what: 'superseded', name: id }])
    }
    expect(await rowsOf(id)).toEqual(before)
    expect(await settle(settlementOf(id, Number(before.due[0].version), 'delivered'))).toEqual([])
    expect((await deliveryOf(database, id)).status).toBe('delivered')
  })
})

test('a settle that was never acknowledged and is repeated after a requeue does not change the second life', async () => {
  const id = await enqueue(database, '1', 'CA-unheard')
  const settlement = settlementOf(id, 0, 'failed')
  await settle(settlement)
  await requeue(id)
  const before = await rowsOf(id)
  await settle(settlement, true)
  expect(await rowsOf(id)).toEqual(before)
  expect(await attemptsOf(database, id)).toHaveLength(1)
})
