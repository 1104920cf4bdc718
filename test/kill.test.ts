import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue, untilStatus } from './helpers/outbox.ts'
import { type ServiceProcess, startProcess } from './helpers/processes.ts'
import { startTcpProxy } from './helpers/tcp-proxy.ts'

const concurrency = 24
const settings = { DISPATCHER_CONCURRENCY: String(concurrency), WEBHOOK_TIMEOUT: '30s' }

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

let round = 0
const businesses = Array.from({ length: 64 }, (_, n) => String(n + 1))
for (const business of businesses) {
  const secret = await putBusiness(database, business, { inbound: `${receiver.url}/${business}`, maxConcurrency: 2 })
  receiver.endpoint(`/${business}`, secret)
}

beforeEach(async () => {
  round += 1
  await emptyTables(database, 'webhook_outbox, webhook_attempts, dispatchers')
  await database.pool.query('update slots set owner = null')
  for (const business of businesses) receiver.answers.always(`/${business}`, null)
})

/** One event for each business; returns the deliveries' ids. */
async function enqueueForAll(named: string): Promise<string[]> {
  return Promise.all(businesses.map((business) => enqueue(database, business, `CA ${round} ${named}`)))
}

async function untilDelivered(ids: string[]): Promise<void> {
  await eventually('all are delivered', async () => {
    const { rows } = await database.pool.query(
      `select from webhook_deliveries where id = any($1::uuid[]) and status = 'delivered'`,
      [ids],
    )
    return rows.length === ids.length
  })
}

const dispatcher = (): ServiceProcess => startProcess(['dispatcher'], database.url, settings)

async function untilSlots(...expected: number[]): Promise<void> {
  await eventually(`slots are shared ${expected.join('/')}`, async () => {
    const { rows } = await database.pool.query<{ n: number }>(
      `select count(s.slot)::int as n from dispatchers d left join slots s on s.owner = d.id
       group by d.id, d.started_at order by d.started_at`,
    )
    return String(rows.map(({ n }) => n)) === String(expected)
  })
}

/** Posts and recorded attempts of each delivery. */
async function ledger(ids: string[]): Promise<Map<string, { posts: number; attempts: number }>> {
  const posts = new Map<string, number>()
  for (const { webhookId } of receiver.posts) posts.set(webhookId, (posts.get(webhookId) ?? 0) + 1)
  const { rows } = await database.pool.query<{ id: string; n: number }>(
    'select delivery_id as id, count(*)::int as n from webhook_attempts group by 1',
  )
  const attempts = new Map(rows.map(({ id, n }) => [id, n]))
  return new Map(ids.map((id) => [id, { posts: posts.get(id) ?? 0, attempts: attempts.get(id) ?? 0 }]))
}

/** A producer that goes on, an event for each business in turn, until it is told to stop. */
function produce(): { stop(): Promise<string[]> } {
  let going = true
  const ids: string[] = []
  const done = (async () => {
    for (let n = 0; going; n += 1) {
      ids.push(await enqueue(database, businesses[n % businesses.length] ?? '', `CA ${round} steady ${n}`))
    }
  })()
  return {
    async stop() {
      going = false
      await done
      return ids
    },
  }
}

test('kill -9: another finishes what was in flight, and repeats nothing else', async () => {
  const killed = dispatcher()
  await killed.ready()
  await untilSlots(64)
  // Some answers take their time, so that there is always something in flight.
  for (const business of businesses.slice(0, 8)) receiver.answers.queue(`/${business}`, 'hang', 'hang')
  const producer = produce()
  await eventually('some hang', () => receiver.answers.hanging >= 8)
  await eventually('others are delivered', () => receiver.posts.filter((post) => post.answer === 200).length > 100)
  killed.signal('SIGKILL')
  expect(await killed.exited()).toBe('SIGKILL')
  const ids = [...(await producer.stop()), ...(await enqueueForAll('after'))]
  const second = dispatcher()
  await second.ready()
  await untilSlots(64)
  await untilDelivered(ids)

  let unrecorded = 0
  for (const [id, { posts, attempts }] of await ledger(ids)) {
    expect(posts, id).toBeGreaterThanOrEqual(1)
    unrecorded += posts - attempts
    // Whatever was posted again had been posted by the one that was killed, and not recorded.
    if (posts > 1) expect({ posts, attempts }, id).toEqual({ posts: 2, attempts: 1 })
  }
  expect(unrecorded).toBeGreaterThanOrEqual(8)
  expect(unrecorded).toBeLessThanOrEqual(concurrency)
  receiver.answers.release({ status: 200 })
})

test('SIGTERM: what is in flight is finished, nothing is repeated, and the one that waits takes over', async () => {
  const [leaving, staying] = [dispatcher(), dispatcher()]
  await Promise.all([leaving.ready(), staying.ready()])
  await untilSlots(32, 32)
  for (const business of businesses) receiver.answers.always(`/${business}`, 'hang')
  const first = await enqueueForAll('hang')
  await eventually('both have their hands full', () => receiver.answers.hanging === 2 * concurrency)
  leaving.signal('SIGTERM')
  await leaving.untilLogged('service.stopping')
  // What was in flight holds its slots; the others have gone, and are served.
  await eventually('the idle slots have gone', async () => {
    const { rows } = await database.pool.query(
      'select count(*)::int as n from slots join dispatchers on owner = id where leaving',
    )
    return rows[0].n === concurrency
  })
  for (const business of businesses) receiver.answers.always(`/${business}`, null)
  const producer = produce()
  receiver.answers.release({ status: 200 })
  expect(await leaving.exited()).toBe(0)
  await untilSlots(64)
  const ids = [...first, ...(await producer.stop())]
  receiver.answers.release({ status: 200 })
  await untilDelivered(ids)
  const unlike = [...(await ledger(ids)).values()].filter(({ posts, attempts }) => posts !== 1 || attempts !== 1)
  expect(unlike).toEqual([])
})

test('SIGSTOP past the lease, then SIGCONT: it sends nothing of what it had waiting, and joins anew', async () => {
  const stopped = dispatcher()
  await stopped.ready()
  await untilSlots(64)
  const other = dispatcher()
  await other.ready()
  await untilSlots(32, 32)
  const { rows } = await database.pool.query<{ slot: number }>(
    'select slot from slots where owner = (select id from dispatchers order by started_at limit 1)',
  )
  const [marker = '', ...own] = businesses.filter((business) => rows.some(({ slot }) => slot === Number(business) % 64))
  own.splice(10)
  for (const business of own) receiver.answers.queue(`/${business}`, 'hang', 'hang')
  const ids: string[] = []
  for (let n = 0; n < 6; n += 1) {
    for (const business of own) ids.push(await enqueue(database, business, `CA ${round} ${n}`))
  }
  // Two of each business are in flight, four wait in the memory of the one that is stopped.
  await eventually('it has its hands full', () => receiver.answers.hanging === 2 * own.length)
  // The sweep that brings this one has brought the others as well.
  await untilStatus(database, await enqueue(database, marker, `CA ${round}`), 'delivered')
  stopped.signal('SIGSTOP')
  await untilSlots(64)
  await untilDelivered(ids)
  receiver.answers.release({ status: 500 })
  stopped.signal('SIGCONT')
  await stopped.untilLogged('lease.buried')
  await untilSlots(32, 32)
  await eventually('what it learned is on record', async () => {
    const counts = [...(await ledger(ids)).values()]
    return counts.every(({ posts, attempts }) => posts === attempts)
  })
  const repeated = [...(await ledger(ids)).values()].filter(({ posts }) => posts !== 1)
  expect(repeated).toEqual(Array(2 * own.length).fill({ posts: 2, attempts: 2 }))
  const { rows: after } = await database.pool.query('select distinct status, attempt_count from webhook_deliveries')
  expect(after).toEqual([{ status: 'delivered', attempt_count: 1 }])

  other.signal('SIGTERM')
  expect(await other.exited()).toBe(0)
  await untilDelivered(await enqueueForAll('after'))
})

test('SIGTERM while the database does not answer: it ends all the same', async () => {
  const proxy = await startTcpProxy(database.url)
  onTestFinished(() => proxy.close())
  const alone = startProcess(['dispatcher'], proxy.databaseUrl, settings)
  await alone.ready()
  await untilSlots(64)
  proxy.freeze()
  alone.signal('SIGTERM')
  expect(await alone.exited()).toBe(0)
})
