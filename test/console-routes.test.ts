import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { otherToken } from './helpers/admin-api.ts'
import { putBusiness } from './helpers/businesses.ts'
import { startConsole, type TestConsole, type Visitor } from './helpers/console.ts'
import { hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { emptyTables } from './helpers/empty-tables.ts'
import { enqueue } from './helpers/outbox.ts'
import { changeRoute, routeOf } from './helpers/routes.ts'

let database: TestDatabase
let site: TestConsole
let night: Visitor
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
  night = await site.signedIn()
})
beforeEach(async () => {
  await emptyTables(database, 'businesses, routes, webhook_outbox, webhook_attempts, audit')
})

const routesOn = (text: string): string[] =>
  [...text.matchAll(/<a href="\/console\/routes\/(\d+\/\w+)">/g)].map((match) => match[1] ?? '')

describe('the list', () => {
  test('tells of each route its state, why, where to, what waits, and how it answered', async () => {
    await putBusiness(database, '1', { inbound: 'https://e.example/in' })
    await database.pool.query('update businesses set name = $1', [hebrew])
    const id = await enqueue(database, '1', 'CA1')
    await database.pool.query(
      `insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result)
       values (1, $1, gen_random_uuid(), 1, now(), 1234, '', 'timeout'), (1, $1, gen_random_uuid(), 2, now(), 5, '', 'ok')`,
      [id],
    )
    await database.pool.query('update webhook_due set attempt_count = 2')
    await changeRoute(
      database,
      '1',
      `state = 'failing', state_reason = 'HTTP 500', state_since = now() - interval '2 hours'`,
    )
    const { status, text } = await night.get('/console/routes')
    expect(status).toBe(200)
    expect(routesOn(text)).toEqual(['1/inbound', '1/outbound'])
    for (const told of [
      'failing',
      'HTTP 500',
      '2 hr ago',
      'https://e.example/in',
      '50 %',
      '1.2 s',
      hebrew,
      'none: skipped',
    ]) {
      expect(text).toContain(told)
    }
  })

  test('is filtered, and paged by key', async () => {
    for (const business of ['1', '2', '3']) await putBusiness(database, business, {})
    await changeRoute(database, '2', `state = 'parked'`)
    expect(routesOn((await night.get('/console/routes?state=parked')).text)).toEqual(['2/inbound'])
    expect(routesOn((await night.get('/console/routes?state=&business_id=3&direction=outbound')).text)).toEqual([
      '3/outbound',
    ])
    expect((await night.get('/console/routes?state=failing')).text).toContain('No route matches')

    const seen: string[] = []
    let path: string | undefined = '/console/routes?limit=2&direction=inbound'
    while (path !== undefined) {
      const { text }: { text: string } = await night.get(path)
      seen.push(...routesOn(text))
      path = /rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&')
    }
    expect(seen).toEqual(['1/inbound', '2/inbound', '3/inbound'])
  })

  test('says what is wrong with a filter, and keeps it', async () => {
    const { status, text } = await night.get(`/console/routes?business_id=${encodeURIComponent(hostile)}`)
    expect(status).toBe(400)
    expect(text).toContain('expected a whole number from 1 to 9223372036854775807')
    expect(text).toContain('value="&quot;&gt;&lt;script&gt;')
    expect(text).not.toContain('<script>alert')
    expect((await night.get('/console/routes?stat=failing')).status).toBe(400)
    expect((await night.get('/console/routes?cursor=x')).status).toBe(400)
  })
})

describe('a route', () => {
  beforeEach(() => putBusiness(database, '1', { inbound: 'https://e.example/in' }))

  test('is parked with a reason and unparked, by the operator who is signed in', async () => {
    const day = await site.signedIn(otherToken)
    const parked = await day.post('/console/routes/1/inbound/park', { reason: ' they move house ' })
    expect(parked.headers.get('location')).toBe('/console/routes/1/inbound')
    const page = await day.follow(parked)
    expect(page.text).toContain('The route is parked.')
    expect(page.text).toContain('they move house')
    expect(await routeOf(database, '1')).toMatchObject({ state: 'parked', version: 1 })
    expect((await day.get('/console/routes/1/inbound')).text).not.toContain('The route is parked.')

    const unparked = await night.follow(await night.post('/console/routes/1/inbound/unpark'))
    expect(unparked.text).toContain('The route is active.')
    expect(await routeOf(database, '1')).toMatchObject({ state: 'active', version: 2 })
    const { rows } = await database.pool.query('select operator, action from audit order by id')
    expect(rows).toEqual([
      { operator: 'day', action: 'route.parked' },
      { operator: 'night', action: 'route.unparked' },
    ])
  })

  test.each([
    ['no reason', {}],
    ['an empty reason', { reason: ' ' }],
    ['a long reason', { reason: 'x'.repeat(201) }],
    ['a reason that PostgreSQL does not keep', { reason: 'a\0b' }],
    ['what is not asked for', { reason: 'x', because: 'y' }],
  ])('is not parked with %s', async (_name, fields: Record<string, string>) => {
    const answer = await night.post('/console/routes/1/inbound/park', fields)
    expect(answer.status).toBe(400)
    expect(answer.text).toContain('role="alert"')
    expect(await routeOf(database, '1')).toMatchObject({ state: 'active', version: 0 })
  })

  test('is not switched without the secret of the session', async () => {
    for (const order of ['park', 'unpark']) {
      const path = `/console/routes/1/inbound/${order}`
      expect((await night.post(path, { csrf: 'x', reason: 'x' })).status).toBe(403)
      expect((await night.post(path, { reason: 'x' }, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
      expect((await site.visitor().post(path, { reason: 'x' })).status).toBe(401)
    }
    expect(await routeOf(database, '1')).toMatchObject({ state: 'active', version: 0 })
  })

  test('that there is not, or cannot be', async () => {
    expect((await night.get('/console/routes/404/inbound')).status).toBe(404)
    expect((await night.get('/console/routes/1/sideways')).status).toBe(400)
    expect((await night.post('/console/routes/404/inbound/park', { reason: 'x' })).status).toBe(404)
  })

  test('shows what others wrote as text', async () => {
    await database.pool.query('update businesses set name = $1', [hostile])
    await changeRoute(database, '1', `state = 'parked', state_reason = '${hostile.replaceAll("'", "''")}'`)
    for (const path of ['/console/routes', '/console/routes/1/inbound']) {
      const { text } = await night.get(path)
      expect(text).not.toMatch(/<script>|<img src=x/)
      expect(text.match(/&lt;script&gt;alert\(1\)&lt;\/script&gt;/g)?.length).toBeGreaterThan(1)
    }
  })
})
