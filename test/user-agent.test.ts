import { afterAll, beforeAll, expect, test } from 'vitest'
import { sentHeaders } from '../src/admin/console/deliveries/sent-headers.ts'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { enqueue, untilStatus } from './helpers/outbox.ts'

let database: TestDatabase
const agents = new Map<string, string[]>()
const server = await startLoopbackServer((request, response) => {
  const sent = request.rawHeaders.filter((_, place) => request.rawHeaders[place - 1]?.toLowerCase() === 'user-agent')
  agents.set(request.url ?? '', sent)
  response.end()
})
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => server.close())

test.each([
  ['none', {}, ['Callbox']],
  ['one in lower case', { 'user-agent': 'Ten Realty/1' }, ['Ten Realty/1']],
  ['one in mixed case', { 'X-Key': 'a', 'User-Agent': 'Ten Realty/2' }, ['Ten Realty/2']],
  ['one in capitals', { 'USER-AGENT': 'Ten Realty/3', 'User-Agent2': 'b' }, ['Ten Realty/3']],
  ['an empty one', { 'User-agent': '' }, ['']],
])('a business with %s sends one User-Agent', async (name, headers, expected) => {
  const id = String(agents.size + 1)
  const path = `/${encodeURIComponent(name)}`
  await putBusiness(database, id, { inbound: `${server.url}${path}`, headers })
  runDispatcher(database.url)
  await untilStatus(database, await enqueue(database, id, `CA${id}`), 'delivered')
  expect(agents.get(path)).toEqual(expected)
})

test('the console shows the header that is sent', () => {
  const names = (own: string[] | null): string[] =>
    sentHeaders('b7', null, own)
      .map((header) => header.name)
      .filter((name) => name.toLowerCase() === 'user-agent')
  expect(names([])).toEqual(['user-agent'])
  expect(names(null)).toEqual(['user-agent'])
  expect(names(['X-Key', 'User-Agent'])).toEqual(['User-Agent'])
})
