import { beforeEach, expect, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { dueChanges, forgetDueChanges, watchDueRows } from './helpers/due-changes.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { eventually } from './helpers/eventually.ts'
import { untilSomebodyWaits } from './helpers/lock-waits.ts'
import { attemptsOf, deliveryOf, enqueue, setDeliveries, untilStatus } from './helpers/outbox.ts'
import { type ServiceProcess, startProcess } from './helpers/processes.ts'

const database = await createTestDatabase()
await watchDueRows(database)
beforeEach(async () => {
  await emptyTables(database, 'webhook_outbox, webhook_attempts, routes, businesses, requeues, dispatchers')
})

interface Requeue {
  id: string
  state: string
  requeued: number
  matched: number
}

interface Api {
  process: ServiceProcess
  send(method: string, path: string, body?: unknown): Promise<Requeue>
}

async function startApi(): Promise<Api> {
  const settings = { PORT: '0', ADMIN_TOKEN: 'the-operator-token', LOG_LEVEL: 'debug' }
  const process = startProcess(['api'], database.url, settings)
  const { port } = await process.untilLogged('service.listening')
  await process.ready()
  return {
    process,
    async send(method, path, body) {
      const headers = { authorization: 'Bearer the-operator-token', 'content-type': 'application/json' }
      const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
      const response = await fetch(`http://127.0.0.1:${port}/admin/requeues${path}`, init)
      expect(response.status).toBeLessThan(300)
      return (await response.json()) as Requeue
    },
  }
}

async function kill({ process }: Api): Promise<void> {
  process.signal('SIGKILL')
  expect(await process.exited()).toBe('SIGKILL')
}

const count = 6_000
/** Deliveries of 20 businesses that have failed, in the order of their numbers. */
const fillFailed = async () => {
  await database.pool.query(
    `insert into webhook_outbox (business_id, id, call_sid, event_type, direction, payload, created_at)
     select 1 + n % 20, callbox_delivery_id(1 + n % 20, 'CA' || n, 'call.completed'), 'CA' || n, 'call.completed',
            'inbound', '{}', timestamptz '2025-06-06T06:06:06Z' + n * interval '1 second'
     from generate_series(1, $1::integer) n`,
    [count],
  )
  await setDeliveries(database, 'true', [], { status: 'failed' })
  await forgetDueChanges(database)
}
const untilRequeued = (api: Api, id: string, least: number) =>
  eventually(`${least} are requeued`, async () => (await api.send('GET', `/${id}`)).requeued >= least)
const untilDone = (api: Api, id: string) =>
  eventually('the requeue is done', async () => {
    const requeue = await api.send('GET', `/${id}`)
    return requeue.state === 'done' && requeue
  })
async function expectEachOnce(): Promise<void> {
  const { rows } = await database.pool.query(
    `select status, id = callbox_delivery_id(business_id, call_sid, event_type) as is_same, count(*)::int as n
     from webhook_deliveries group by 1, 2`,
  )
  expect(rows).toEqual([{ status: 'pending', is_same: true, n: count }])
  expect(await dueChanges(database)).toEqual({ 1: count })
}

test('kill -9 in the middle of a batch: the next process goes on there, and each delivery is requeued once', async () => {
  await fillFailed()
  const first = await startApi()
  const holder = await database.knex.transaction()
  await holder('webhook_outbox').where({ call_sid: 'CA2750' }).forUpdate().select('id')
  const { id } = await first.send('POST', '', {})
  await untilRequeued(first, id, 2_500)
  await untilSomebodyWaits(database, 'transactionid')
  await kill(first)
  await holder.rollback()
  const second = await startApi()
  expect(await untilDone(second, id)).toMatchObject({ matched: count, requeued: count, examined: count })
  await expectEachOnce()
})

test('kill -9 again and again, wherever it is then', async () => {
  await fillFailed()
  let api = await startApi()
  const { id } = await api.send('POST', '', {})
  for (const least of [500, 2_000, 4_000]) {
    await untilRequeued(api, id, least)
    await kill(api)
    api = await startApi()
  }
  expect(await untilDone(api, id)).toMatchObject({ matched: count, requeued: count })
  await expectEachOnce()
})

test('SIGTERM ends it after the batch under way; a requeue that was stopped stays so', async () => {
  await fillFailed()
  const first = await startApi()
  const { id } = await first.send('POST', '', {})
  await untilRequeued(first, id, 500)
  const stopped = await first.send('POST', `/${id}/stop`)
  first.process.signal('SIGTERM')
  expect(await first.process.exited()).toBe(0)
  const second = await startApi()
  await second.send('POST', '', { business_id: '99' }).then((other) => untilDone(second, other.id))
  expect(await second.send('GET', `/${id}`)).toEqual(stopped)
  await second.send('POST', `/${id}/resume`)
  expect(await untilDone(second, id)).toMatchObject({ requeued: count })
  await expectEachOnce()
})

test('two API processes and two requeues of the same deliveries: each is requeued once', async () => {
  await fillFailed()
  const [one, other] = await Promise.all([startApi(), startApi()])
  const orders = await Promise.all([one.send('POST', '', {}), other.send('POST', '', { status: 'failed' })])
  const done = await Promise.all(orders.map(({ id }) => untilDone(one, id)))
  expect(done.reduce((sum, { requeued }) => sum + requeued, 0)).toBe(count)
  for (const { matched } of done) expect(matched).toBeLessThanOrEqual(count)
  await expectEachOnce()
  const batches = [one, other].flatMap(({ process }) => process.log.filter(({ event }) => event === 'requeue.batch'))
  expect(batches.reduce((sum, batch) => sum + Number(batch['requeued']), 0)).toBe(count)
})

test('with a dispatcher at work: sent again with the same id and bytes; what is in flight is not disturbed', async () => {
  const receiver = await startReceiver()
  try {
    const secret = await putBusiness(database, '1', { inbound: `${receiver.url}/one` })
    receiver.endpoint('/one', secret)
    runDispatcher(database.url, { WEBHOOK_TIMEOUT: '30s' })
    const payload = '{"text": "שלום",  "b":1}'
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, n) => enqueue(database, '1', `CA${n}`, 'inbound', payload)),
    )
    for (const id of ids) await untilStatus(database, id, 'delivered')
    receiver.answers.queue('/one', 'hang')
    const inFlight = await enqueue(database, '1', 'CAflight', 'inbound', payload)
    await eventually('it is in flight', () => receiver.answers.hanging === 1)

    const api = await startApi()
    for (const status of ['pending', 'delivered']) {
      const { id } = await api.send('POST', '', { status, business_id: '1' })
      await untilDone(api, id)
    }
    for (const id of ids) {
      const row = await eventually('it is delivered again', async () => {
        const row = await deliveryOf(database, id)
        return row.attempt_count === 2 && row.status === 'delivered' && row
      })
      expect(row).toMatchObject({ version: null, due_in_ms: null })
      const posts = receiver.posts.filter(({ webhookId }) => webhookId === id)
      expect(posts.map(({ body, verified }) => [body.toString(), verified])).toEqual([
        [payload, true],
        [payload, true],
      ])
    }
    receiver.answers.release({ status: 200 })
    expect(await untilStatus(database, inFlight, 'delivered')).toMatchObject({ attempt_count: 1 })
    expect(await attemptsOf(database, inFlight)).toHaveLength(1)
    expect(receiver.posts.filter(({ webhookId }) => webhookId === inFlight)).toHaveLength(1)
  } finally {
    await receiver.close()
  }
})
