import type { Socket } from 'node:net'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { AddressGuard } from '../src/dispatcher/sending/address-guard.ts'
import { Poster } from '../src/dispatcher/sending/post.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { attemptsOf, deliveryOf, enqueue, untilStatus } from './helpers/outbox.ts'
import { startRawEndpoint } from './helpers/raw-endpoint.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

/**
 * An endpoint that answers so many POSTs of each connection, and closes it when another comes; a business that uses it.
 *
 * @param resets it resets the connection (RST) instead of closing it (FIN).
 * @param together of so many the answers wait for one another, and so each has its own connection.
 */
async function closingEndpoint(
  businessId: string,
  {
    answersOn,
    together = 1,
    lastWords = '',
    resets = false,
  }: { answersOn(connection: number): number; together?: number; lastWords?: string; resets?: boolean },
) {
  const answered = new Map<Socket, number>()
  const first: Socket[] = []
  const accept = (socket: Socket): void => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  const answer = (socket: Socket): void => {
    const left = answered.get(socket) ?? answersOn(answered.size + 1)
    answered.set(socket, left - 1)
    if (left <= 0) resets ? socket.resetAndDestroy() : socket.end(lastWords)
    else if (first.length >= together) accept(socket)
    else if (first.push(socket) === together) first.forEach(accept)
  }
  const endpoint = await startRawEndpoint(new Map([['/', answer]]))
  onTestFinished(() => endpoint.close())
  await putBusiness(database, businessId, { inbound: `${endpoint.url}/` })
}

/** In one transaction: they wait for one another at the endpoint, so one read must bring them all. */
async function enqueueTogether(calls: readonly string[]): Promise<string[]> {
  const client = await database.pool.connect()
  try {
    await client.query('begin')
    const ids: string[] = []
    for (const call of calls) ids.push(await enqueue({ pool: client }, '1', call))
    await client.query('commit')
    return ids
  } finally {
    client.release()
  }
}

const resultsOf = async (id: string): Promise<string> =>
  (await attemptsOf(database, id)).map(({ result }) => result).join(', ')

test('kept connections that are closed as POSTs come cost an attempt on record, and neither wait nor trouble', async () => {
  const many = 8
  await closingEndpoint('1', { answersOn: () => 1, together: many })
  const dispatcher = runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  const deliver = async (round: number, count: number): Promise<string[]> => {
    const calls = Array.from({ length: count }, (_, n) => `CA${round}-${n}`)
    const ids = await enqueueTogether(calls)
    await Promise.all(ids.map((id) => untilStatus(database, id, 'delivered')))
    return Promise.all(ids.map(resultsOf))
  }
  expect(await deliver(1, many)).toEqual(Array(many).fill('ok'))
  // The next kept one would be closed as well.
  expect(await deliver(2, 1)).toEqual(['reset, ok'])
  expect(await deliver(3, many)).toContain('reset, ok')
  const openings = (await dispatcher.metrics.breakerOpenings.get()).values
  expect(openings.map(({ value }) => value).filter((value) => value > 0)).toEqual([])
})

test('a kept connection that is reset is as free as one that is closed', async () => {
  await closingEndpoint('3', { answersOn: () => 1, resets: true })
  const dispatcher = runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  await untilStatus(database, await enqueue(database, '3', 'CA1'), 'delivered')
  const ids = []
  for (const call of ['CA2', 'CA3']) ids.push(await enqueue(database, '3', call))
  for (const id of ids) await untilStatus(database, id, 'delivered')
  expect(await Promise.all(ids.map(resultsOf))).toContain('reset, ok')
  expect((await dispatcher.metrics.retries.get()).values).toEqual([])
})

test('a reset new connection is a failure like any other', async () => {
  await closingEndpoint('4', { answersOn: () => 0, resets: true })
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  const id = await enqueue(database, '4', 'CA1')
  await eventually('its wait began', async () => ((await deliveryOf(database, id)).step ?? 0) > 0)
  expect(await resultsOf(id)).toBe('reset')
})

test('cut off again on a connection of its own, it is a failure like any other', async () => {
  await closingEndpoint('2', { answersOn: (connection) => (connection === 1 ? 1 : 0), lastWords: 'HTTP/1.1 20' })
  runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h' })
  await untilStatus(database, await enqueue(database, '2', 'CA1'), 'delivered')
  const id = await enqueue(database, '2', 'CA2')
  const row = await eventually('its wait began', async () => {
    const found = await deliveryOf(database, id)
    return (found.step ?? 0) > 0 && found
  })
  expect(row).toMatchObject({ step: 1, attempt_count: 2 })
  expect(row.due_in_ms).toBeGreaterThan(3_000_000)
  expect(await resultsOf(id)).toBe('reset, reset')
})

test('a POST that wants a new connection gets one, and leaves none behind', async () => {
  const sockets = new Set<Socket>()
  const answer = (socket: Socket): void => {
    sockets.add(socket)
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  }
  const endpoint = await startRawEndpoint(new Map([['/', answer]]))
  const poster = new Poster(new AddressGuard({ allowedNetworks: ['127.0.0.1/32'] }), 2_000, null, () => null)
  onTestFinished(async () => {
    await poster.close()
    await endpoint.close()
  })
  for (const newConnection of [false, true, false, true]) {
    const request = { url: `${endpoint.url}/`, headers: [], body: Buffer.from('{}') }
    expect((await poster.post(request, newConnection)).result).toBe('ok')
  }
  expect(endpoint.requests.length).toBe(4)
  expect(sockets.size).toBe(3)
})
