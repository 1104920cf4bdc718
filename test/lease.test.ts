import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, onTestFinished, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { buryDispatcher, claimSlots, joinFleet, releaseSlots, renewBeat } from '../src/dispatcher/lease/membership.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { attemptsOf, deliveryOf, enqueue, untilStatus } from './helpers/outbox.ts'
import { startTcpProxy } from './helpers/tcp-proxy.ts'

const database = await createTestDatabase()
const receiver: Receiver = await startReceiver()
afterAll(() => receiver.close())

beforeEach(async () => {
  await emptyTables(database, 'webhook_outbox, webhook_attempts, businesses, routes, dispatchers')
  await database.pool.query('update slots set owner = null')
})

/** How many slots each dispatcher owns, by its place in the order of their start. */
async function slotCounts(): Promise<number[]> {
  const { rows } = await database.pool.query<{ n: number }>(
    `select count(s.slot)::int as n from dispatchers d left join slots s on s.owner = d.id
     group by d.id, d.started_at order by d.started_at`,
  )
  return rows.map(({ n }) => n)
}

function untilSlots(expected: number[]): Promise<unknown> {
  return eventually(
    `slots are shared ${expected.join('/')}`,
    async () => String(await slotCounts()) === String(expected),
  )
}

async function putReceivingBusiness(businessId: string, maxConcurrency = 16): Promise<void> {
  const secret = await putBusiness(database, businessId, { inbound: `${receiver.url}/${businessId}`, maxConcurrency })
  receiver.endpoint(`/${businessId}`, secret)
}

/** How often each delivery was posted. */
function postCounts(): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { webhookId } of receiver.posts) counts.set(webhookId, (counts.get(webhookId) ?? 0) + 1)
  return counts
}

/** A dispatcher that only exists in the table: alive as long as `beat` is called. */
async function pretendDispatcher(): Promise<{ id: string; beat(): Promise<void>; remove(): Promise<void> }> {
  const id = randomUUID()
  await database.pool.query(joinFleet, [id, 'pretended'])
  return {
    id,
    async beat() {
      await database.pool.query(renewBeat, [id, false])
    },
    async remove() {
      await database.pool.query('delete from dispatchers where id = $1', [id])
    },
  }
}

test('two dispatchers share the slots 32 and 32, and the work', async () => {
  const ids = []
  for (let business = 1; business <= 64; business += 1) await putReceivingBusiness(String(business))
  runDispatcher(database.url)
  await untilSlots([64])
  const second = runDispatcher(database.url)
  await untilSlots([32, 32])
  for (let business = 1; business <= 64; business += 1) ids.push(await enqueue(database, String(business), 'CA1'))
  for (const id of ids) await untilStatus(database, id, 'delivered')
  expect(ids.map((id) => postCounts().get(id))).toEqual(ids.map(() => 1))
  const { values } = await second.metrics.deliveries.get()
  expect(values).toMatchObject([{ labels: { outcome: 'delivered' }, value: 32 }])
  await second.stop()
  await untilSlots([64])
})

test('a former owner overwrites nothing and sends nothing, and what it learned is on record', async () => {
  await putReceivingBusiness('101', 1)
  const proxy = await startTcpProxy(database.url)
  onTestFinished(() => proxy.close())
  const former = runDispatcher(proxy.databaseUrl, { WEBHOOK_TIMEOUT: '40s', WEBHOOK_RETRY_SCHEDULE: '1h' })
  onTestFinished(() => proxy.restore())
  await untilSlots([64])
  receiver.answers.queue('/101', 'hang')
  const ids = []
  for (let call = 0; call < 10; call += 1) ids.push(await enqueue(database, '101', `CA${call}`))
  await eventually('the first hangs', () => receiver.answers.hanging === 1)

  proxy.freeze()
  runDispatcher(database.url)
  for (const id of ids) await untilStatus(database, id, 'delivered')
  await eventually('the former owner no longer trusts its lease', async () => (await former.ready()) !== null)
  receiver.answers.release({ status: 500, body: 'too late' })
  proxy.restore()

  const [first = '', ...others] = ids
  await eventually(
    'the former owner records what it learned',
    async () => (await attemptsOf(database, first)).length === 2,
  )
  await eventually('the former owner joins anew', async () => (await former.ready()) === null)
  await untilSlots([32, 32])
  expect(await deliveryOf(database, first)).toMatchObject({
    status: 'delivered',
    attempt_count: 1,
  })
  expect((await attemptsOf(database, first)).map(({ result, status_code }) => [result, status_code])).toEqual(
    expect.arrayContaining([
      ['ok', 200],
      ['http_error', 500],
    ]),
  )
  expect(postCounts().get(first)).toBe(2)
  expect(others.map((id) => postCounts().get(id))).toEqual(others.map(() => 1))
})

test('one whose beat moved just before its burial keeps its slots', async () => {
  const other = await pretendDispatcher()
  await database.pool.query('update slots set owner = $1 where slot < 10', [other.id])
  // A burial that comes a moment after a renewal finds nothing to delete.
  await database.pool.query(`
    create table burials (id uuid);
    create function renewed_in_time() returns trigger language plpgsql as
      $$ begin insert into burials values (old.id); return null; end $$;
    create trigger renewed_in_time before delete on dispatchers
      for each row when (old.host = 'pretended') execute function renewed_in_time()`)
  onTestFinished(async () => {
    await database.pool.query(
      'drop trigger renewed_in_time on dispatchers; drop function renewed_in_time; drop table burials',
    )
  })
  runDispatcher(database.url)
  await eventually('two burials were tried', async () => {
    const { rows } = await database.pool.query('select from burials')
    return rows.length >= 2
  })
  const { rows } = await database.pool.query('select distinct owner from slots where slot < 10')
  expect(rows).toEqual([{ owner: other.id }])
})

test('slots that were to be given away are served again when nobody is left to take them', async () => {
  const businesses = Array.from({ length: 64 }, (_, n) => String(n + 1))
  for (const business of businesses) {
    await putReceivingBusiness(business, 1)
    receiver.answers.queue(`/${business}`, 'hang')
  }
  runDispatcher(database.url, { WEBHOOK_TIMEOUT: '40s' })
  for (const business of businesses) await enqueue(database, business, 'CA hang')
  await eventually('all hang', () => receiver.answers.hanging === 64)
  const newcomer = await pretendDispatcher()
  await newcomer.beat()
  await untilBeats(2)
  await newcomer.remove()
  await untilBeats(2)

  const ids = []
  for (const business of businesses) ids.push(await enqueue(database, business, 'CA2'))
  await putReceivingBusiness('999')
  for (const callSid of ['CA1', 'CA2'])
    await untilStatus(database, await enqueue(database, '999', callSid), 'delivered')
  // The sweeps that brought those brought these too: they wait, for each business takes one at a time.
  expect(ids.filter((id) => postCounts().has(id))).toEqual([])
  receiver.answers.release({ status: 200 })
  for (const id of ids) await untilStatus(database, id, 'delivered')
})

/** Until the one real dispatcher has renewed its lease so many times more. */
async function untilBeats(more: number): Promise<void> {
  const sum = async (): Promise<number> => {
    const { rows } = await database.pool.query(`select sum(beat)::int as beats from dispatchers where host = 'test'`)
    return rows[0].beats
  }
  const before = await sum()
  await eventually(`${more} beats`, async () => (await sum()) >= before + more)
}

test('a burial that names another beat, a claim that names another owner: nothing is taken', async () => {
  const { id, beat, remove } = await pretendDispatcher()
  onTestFinished(remove)
  await beat()
  await database.pool.query('update slots set owner = $1', [id])
  await beat()
  expect((await database.pool.query(buryDispatcher, [id, 1])).rowCount).toBe(0)
  const newcomer = randomUUID()
  expect((await database.pool.query(claimSlots, [newcomer, [1, 2], [null, randomUUID()]])).rowCount).toBe(0)
  expect((await database.pool.query(claimSlots, [newcomer, [1, 2], [id, null]])).rowCount).toBe(1)
  expect((await database.pool.query(buryDispatcher, [id, 2])).rowCount).toBe(1)
})

test('a release that arrives late, after a renewal, gives nothing away', async () => {
  const { id, beat, remove } = await pretendDispatcher()
  onTestFinished(remove)
  await beat()
  await database.pool.query('update slots set owner = $1', [id])
  await beat()
  expect((await database.pool.query(releaseSlots, [id, [1, 2, 3], 1])).rowCount).toBe(0)
  expect((await database.pool.query(releaseSlots, [id, [1, 2, 3], 2])).rowCount).toBe(3)
})
