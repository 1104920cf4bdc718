import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { type Direction, routeFor, type WebhookUrls } from '../src/outbox/routing.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { attemptsOf, deliveryOf, enqueue, untilStatus } from './helpers/outbox.ts'

type Kind = keyof WebhookUrls
const noOutbound = { skipped: 'no outbound_webhook_url is set' }
const noInbound = { skipped: 'neither inbound_webhook_url nor generic_webhook_url is set' }

/** Every combination of configured URLs, and where each direction goes. */
const table: { has: Kind[]; inbound: Kind | null; outbound: Kind | null }[] = [
  { has: [], inbound: null, outbound: null },
  { has: ['generic'], inbound: 'generic', outbound: null },
  { has: ['inbound'], inbound: 'inbound', outbound: null },
  { has: ['inbound', 'generic'], inbound: 'inbound', outbound: null },
  { has: ['outbound'], inbound: null, outbound: 'outbound' },
  { has: ['outbound', 'generic'], inbound: 'generic', outbound: 'outbound' },
  { has: ['outbound', 'inbound'], inbound: 'inbound', outbound: 'outbound' },
  { has: ['outbound', 'inbound', 'generic'], inbound: 'inbound', outbound: 'outbound' },
]
const directions: Direction[] = ['inbound', 'outbound']
const cases = table.flatMap((row, index) =>
  directions.map((direction) => ({
    businessId: String(index + 1),
    has: row.has,
    direction,
    goesTo: row[direction],
    named: `${direction} with ${row.has.join(', ') || 'nothing'} set`,
  })),
)

describe('the table', () => {
  test.each(cases)('$named: $goesTo', ({ has, direction, goesTo }) => {
    const url = (kind: Kind): string | null => (has.includes(kind) ? `https://example.org/${kind}` : null)
    const urls = { inbound: url('inbound'), outbound: url('outbound'), generic: url('generic') }
    const skipped = direction === 'outbound' ? noOutbound : noInbound
    expect(routeFor(direction, urls)).toEqual(goesTo === null ? skipped : { url: urls[goesTo] })
  })

  test.each(directions)('%s of an unknown business is skipped', (direction) => {
    expect(routeFor(direction, null)).toEqual({ skipped: 'the business is not known' })
  })
})

describe('end to end', () => {
  let database: TestDatabase
  let receiver: Receiver
  beforeAll(async () => {
    database = await createTestDatabase()
    receiver = await startReceiver()
  })
  afterAll(() => receiver.close())

  const postsTo = (path: string) => receiver.posts.filter((post) => post.path === path)

  test('each delivery goes where the table says, and nowhere else', async () => {
    for (const [index, { has }] of table.entries()) {
      const businessId = String(index + 1)
      const urls = Object.fromEntries(has.map((kind) => [kind, `${receiver.url}/${businessId}/${kind}`]))
      const secret = await putBusiness(database, businessId, urls)
      for (const kind of has) receiver.endpoint(`/${businessId}/${kind}`, secret)
    }
    runDispatcher(database.url)
    const ids = []
    for (const { businessId, direction, named } of cases)
      ids.push(await enqueue(database, businessId, named, direction))
    const expected: Record<string, string[]> = {}
    for (const [index, { businessId, direction, goesTo, named }] of cases.entries()) {
      const id = ids[index] ?? ''
      const row = await untilStatus(database, id, goesTo === null ? 'skipped' : 'delivered')
      const { skipped } = direction === 'outbound' ? noOutbound : noInbound
      expect(row, named).toMatchObject({ reason: goesTo === null ? skipped : null })
      expect(row.attempt_count, named).toBe(goesTo === null ? 0 : 1)
      expect((await attemptsOf(database, id)).length, named).toBe(row.attempt_count)
      if (goesTo !== null) expected[id] = [`/${businessId}/${goesTo}`]
    }
    const received: Record<string, string[]> = {}
    for (const { webhookId, path } of receiver.posts) received[webhookId] = [...(received[webhookId] ?? []), path]
    expect(received).toEqual(expected)
  })

  test('a delivery for a business that nobody made is skipped', async () => {
    runDispatcher(database.url)
    for (const direction of directions) {
      const id = await enqueue(database, '900', `CA ${direction}`, direction)
      expect(await untilStatus(database, id, 'skipped')).toMatchObject({
        reason: 'the business is not known',
        attempt_count: 0,
      })
    }
  })

  test('a URL set later revives nothing that was skipped', async () => {
    await putBusiness(database, '901', {})
    runDispatcher(database.url)
    const skipped = await enqueue(database, '901', 'CA1', 'outbound')
    await untilStatus(database, skipped, 'skipped')
    await changeUrl('901', 'outbound', `${receiver.url}/901`)
    const later = await enqueue(database, '901', 'CA2', 'outbound')
    await eventually('the later one is posted', () => postsTo('/901').length > 0)
    expect(postsTo('/901').map((post) => post.webhookId)).toEqual([later])
    expect(await deliveryOf(database, skipped)).toMatchObject({ status: 'skipped', attempt_count: 0 })
  })

  test('a URL corrected between two attempts serves the next one', async () => {
    const secret = await putBusiness(database, '902', { outbound: `${receiver.url}/902/wrong` })
    receiver.endpoint('/902/right', secret)
    receiver.answers.always('/902/wrong', { status: 404 })
    runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '1h,1h' })
    const id = await enqueue(database, '902', 'CA1', 'outbound')
    await eventually('the first attempt is recorded', async () => (await attemptsOf(database, id)).length === 1)
    await changeUrl('902', 'outbound', `${receiver.url}/902/right`)
    await database.pool.query('update webhook_due set due_at = clock_timestamp() where id = $1', [id])
    await untilStatus(database, id, 'delivered')
    expect((await attemptsOf(database, id)).map(({ url, result }) => [url, result])).toEqual([
      [`${receiver.url}/902/wrong`, 'http_error'],
      [`${receiver.url}/902/right`, 'ok'],
    ])
  })

  test('a URL corrected while a backlog waits in memory serves what is sent after it', async () => {
    const secret = await putBusiness(database, '903', { inbound: `${receiver.url}/903/wrong`, maxConcurrency: 1 })
    receiver.endpoint('/903/right', secret)
    receiver.answers.always('/903/wrong', 'hang')
    const ids = []
    for (let call = 0; call < 40; call += 1) ids.push(await enqueue(database, '903', `CA${call}`))
    runDispatcher(database.url, { DISPATCHER_CONCURRENCY: '4', WEBHOOK_TIMEOUT: '30s' })
    await eventually('the first one hangs', () => postsTo('/903/wrong').length === 1)
    await changeUrl('903', 'inbound', `${receiver.url}/903/right`)
    // By the time that a sweep has brought a delivery of another business, the correction has been seen as well.
    await enqueue(database, '904', 'CA1')
    await eventually('a sweep', async () => {
      const { rows } = await database.pool.query(
        `select from webhook_deliveries where business_id = 904 and status = 'skipped'`,
      )
      return rows.length === 1
    })
    receiver.answers.release({ status: 500 })
    for (const id of ids) await untilStatus(database, id, 'delivered')
    expect(postsTo('/903/wrong').length).toBe(1)
  })

  async function changeUrl(businessId: string, kind: Kind, url: string): Promise<void> {
    const sql = `update businesses set ${kind}_webhook_url = $2, revision = revision + 1 where business_id = $1`
    await database.pool.query(sql, [businessId, url])
  }
})
