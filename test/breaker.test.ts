import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { startReceiver } from '../src/demo/receiver.ts'
import { RateLimit } from '../src/dispatcher/routes/rate-limit.ts'
import { type HealthChange, parkAfterMs, RouteHealth } from '../src/dispatcher/routes/route-health.ts'
import { putBusiness } from './helpers/businesses.ts'
import { createTestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { enqueue, untilStatus } from './helpers/outbox.ts'
import { changeRoute, routeOf, untilRoute } from './helpers/routes.ts'

describe('RouteHealth', () => {
  const ok = { of: 'endpoint', ok: true } as const
  const failed = (reason = 'HTTP 500', holdMs = 0) =>
    ({ of: 'endpoint', ok: false, reason, isGone: false, holdMs }) as const
  const gone = { of: 'endpoint', ok: false, reason: 'gone', isGone: true, holdMs: 0 } as const
  const payload = { of: 'payload' } as const

  /** This many failures, each of a different delivery. @returns what the last one changed. */
  function fail(health: RouteHealth, times: number, nowMs = 0): HealthChange | null {
    let change = null
    for (let n = 0; n < times; n += 1) change = health.judge(failed(), `d${n}`, health.state === 'failing', nowMs)
    return change
  }

  test('five failures in a row open it, a success in between does not', () => {
    const health = new RouteHealth()
    expect(fail(health, 4)).toBeNull()
    expect(health.judge(ok, 'd', false, 0)).toBeNull()
    expect(fail(health, 4)).toBeNull()
    expect(health.state).toBe('active')
    expect(fail(health, 1)).toMatchObject({
      state: 'failing',
      isNew: true,
      reason: 'HTTP 500',
      probes: 0,
      waitMs: 1_000,
    })
    expect(health.state).toBe('failing')
    expect(health.judge(ok, 'd', true, 0)).toMatchObject({ state: 'active', isNew: true, waitMs: 0 })
    expect(health.state).toBe('active')
  })

  test('one or two failing deliveries never open the breaker; a third one does', () => {
    const health = new RouteHealth()
    for (let n = 0; n < 20; n += 1) expect(health.judge(failed(), 'bad', false, 0)).toBeNull()
    for (let n = 0; n < 20; n += 1) expect(health.judge(failed(), 'worse', false, 0)).toBeNull()
    expect(health.judge(failed(), 'third', false, 0)).toMatchObject({ state: 'failing' })
  })

  test("a payload's fault moves it in neither direction", () => {
    const health = new RouteHealth()
    fail(health, 4)
    for (let n = 0; n < 20; n += 1) expect(health.judge(payload, `p${n}`, false, 0)).toBeNull()
    expect(fail(health, 1)).toMatchObject({ state: 'failing', probes: 0 })
    expect(health.judge(payload, 'p', true, 5_000)).toMatchObject({
      state: 'failing',
      isNew: false,
      probes: 0,
      waitMs: 1_000,
    })
    expect(health.judge(payload, 'p', false, 5_000)).toBeNull()
    expect(health.state).toBe('failing')
  })

  test('probes come at intervals that double from 1 s to 5 min', () => {
    const health = new RouteHealth()
    fail(health, 5)
    let nowMs = 0
    const seconds: number[] = []
    for (let n = 0; n < 60; n += 1) {
      nowMs += 600_000
      seconds.push((health.judge(failed('timeout'), 'd', true, nowMs)?.waitMs ?? 0) / 1_000)
    }
    expect(seconds.slice(0, 10)).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
    expect(new Set(seconds.slice(9))).toEqual(new Set([300]))
  })

  test('what was in flight when it opened is no probe', () => {
    const health = new RouteHealth()
    fail(health, 5)
    for (let n = 0; n < 20; n += 1) expect(health.judge(failed(), `late${n}`, false, 10)).toBeNull()
    expect(health.judge(failed(), 'd', true, 2_000)).toMatchObject({ probes: 1, waitMs: 2_000 })
  })

  test('five days without a success park a route with an open breaker, and never one with a closed breaker', () => {
    const health = new RouteHealth()
    fail(health, 5, 1_000)
    expect(health.judge(failed('dns'), 'd', true, 1_000 + parkAfterMs - 1)).toMatchObject({ state: 'failing' })
    expect(health.judge(failed('dns'), 'd', true, 1_000 + parkAfterMs)).toMatchObject({
      state: 'parked',
      reason: 'no success for 5 days; the last failure: dns',
    })
    const quiet = new RouteHealth()
    for (let day = 0; day < 20; day += 1) expect(quiet.judge(failed(), 'bad', false, day * 86_400_000)).toBeNull()
    expect(quiet.state).toBe('active')
  })

  test('it continues where its row says', () => {
    const health = new RouteHealth()
    const row = { state: 'failing', healthVersion: 1, probes: 3, failingForMs: parkAfterMs - 1_000 } as const
    health.adopt(row, 50_000)
    expect(health.state).toBe('failing')
    expect(health.judge(failed('reset'), 'd', true, 50_500)).toMatchObject({ probes: 4, waitMs: 16_000 })
    expect(health.judge(failed('reset'), 'd', true, 151_000)).toMatchObject({ state: 'parked' })
    health.adopt({ state: 'active', healthVersion: 2, probes: 0, failingForMs: null }, 160_000)
    expect(fail(health, 4, 160_000)).toBeNull()
    expect(fail(health, 1, 160_000)).toMatchObject({ state: 'failing', failingForMs: 0 })
  })

  test('a row that is not newer changes nothing', () => {
    const health = new RouteHealth()
    health.stored(7)
    health.adopt({ state: 'failing', healthVersion: 7, probes: 3, failingForMs: 1 }, 0)
    expect(health.state).toBe('active')
    expect([health.adoptParked(7), health.adoptParked(8), health.state]).toEqual([false, true, 'parked'])
  })

  test('410 parks it, and later answers do not change that', () => {
    const health = new RouteHealth()
    expect(health.judge(gone, 'd', false, 0)).toMatchObject({ state: 'parked', reason: 'gone', isNew: true })
    for (const verdict of [ok, failed(), gone, payload]) expect(health.judge(verdict, 'd', false, 0)).toBeNull()
    expect(health.allowed(16)).toBe(0)
  })

  test('Retry-After holds it, open or not, and a shorter one does not shorten that', () => {
    const health = new RouteHealth()
    expect(health.judge(failed('HTTP 429', 60_000), 'd1', false, 0)).toMatchObject({ state: 'active', waitMs: 60_000 })
    expect(health.judge(failed('HTTP 429', 10_000), 'd2', false, 0)).toBeNull()
    expect([health.waitMs(0), health.waitMs(59_999), health.waitMs(60_000)]).toEqual([60_000, 1, 0])
    expect(fail(health, 3)).toMatchObject({ state: 'failing', waitMs: 60_000 })
    expect(health.judge(failed('HTTP 503', 100_000), 'd', true, 60_000)).toMatchObject({ probes: 1, waitMs: 100_000 })
  })

  test('it ramps up after trouble: from one POST, one more with each success, up to the limit', () => {
    const health = new RouteHealth()
    expect(health.allowed(16)).toBe(16)
    fail(health, 5)
    expect(health.allowed(16)).toBe(1)
    health.judge(ok, 'd', true, 10_000)
    const limits = []
    for (let n = 0; n < 6; n += 1) {
      limits.push(health.allowed(4))
      health.judge(ok, 'd', false, 10_000)
    }
    expect(limits).toEqual([1, 2, 3, 4, 4, 4])
    health.judge(failed('HTTP 429', 1_000), 'd', false, 10_000)
    expect(health.allowed(4)).toBe(1)
  })
})

describe('RateLimit', () => {
  const rates = fc.oneof(fc.double({ min: 0.001, max: 10_000, noNaN: true }), fc.constantFrom(0.1, 1, 5, 30, 1_000))
  const waits = fc.array(fc.double({ min: 0, max: 5_000, noNaN: true }), { maxLength: 200 })

  test('between any two looks never more than the rate brings, and a burst of 100 ms or one', () => {
    fc.assert(
      fc.property(rates, waits, (rate, gaps) => {
        const bucket = new RateLimit(rate, 0)
        const burst = Math.max(1, rate / 10)
        const taken: number[] = []
        let nowMs = 0
        for (const gap of gaps) {
          nowMs += gap
          while (bucket.take(nowMs)) taken.push(nowMs)
        }
        for (const [n, atMs] of taken.entries()) {
          expect(n + 1).toBeLessThanOrEqual((rate * atMs) / 1_000 + 1e-6)
          const [first = 0] = taken
          expect(n).toBeLessThanOrEqual((rate * (atMs - first)) / 1_000 + burst + 1e-6)
        }
      }),
    )
  })

  test('it begins empty, and after the wait that it tells there is a token', () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 1, max: 50 }), (rate, times) => {
        const bucket = new RateLimit(rate, 0)
        let nowMs = 0
        expect(bucket.take(nowMs)).toBe(false)
        for (let n = 0; n < times; n += 1) {
          nowMs += bucket.waitMs() * (1 + 1e-9) + 1e-6
          expect(bucket.take(nowMs)).toBe(true)
          if (rate <= 10) expect(bucket.take(nowMs)).toBe(false)
          else while (bucket.take(nowMs));
        }
        expect(nowMs).toBeLessThan((times / rate) * 1_000 * 1.01 + 1)
      }),
    )
  })
})

const database = await createTestDatabase()
const receiver = await startReceiver()
afterAll(() => receiver.close())

let lastBusiness = 0
/** A business whose inbound calls go to a path of its own, with this many deliveries that are due. */
async function newBusiness(deliveries: number, maxConcurrency = 16): Promise<string> {
  lastBusiness += 1
  const businessId = String(lastBusiness)
  const url = `${receiver.url}/${businessId}`
  receiver.endpoint(`/${businessId}`, await putBusiness(database, businessId, { inbound: url, maxConcurrency }))
  await enqueueMany(businessId, deliveries)
  return businessId
}

async function enqueueMany(businessId: string, deliveries: number): Promise<void> {
  await database.pool.query(
    `select callbox_enqueue($1, 'CA' || n, 'call.completed', 'inbound', '{}') from generate_series(1, $2::int) n`,
    [businessId, deliveries],
  )
}

const postsOf = (businessId: string) => receiver.posts.filter(({ path }) => path === `/${businessId}`)

interface Counts {
  pending: number
  delivered: number
  untried: number
  /** Tried and moved on in their schedule. */
  moved: number
  /** Tried, and not moved on. */
  probed: number
  attempts: number
}

async function countsOf(businessId: string): Promise<Counts> {
  const { rows } = await database.pool.query<Counts>(
    `select count(*) filter (where status = 'pending')::int as pending,
            count(*) filter (where status = 'delivered')::int as delivered,
            count(*) filter (where attempt_count = 0)::int as untried,
            count(*) filter (where step > 0)::int as moved,
            count(*) filter (where attempt_count > 0 and step = 0)::int as probed,
            (select count(*)::int from webhook_attempts where business_id = $1) as attempts
     from webhook_deliveries where business_id = $1`,
    [businessId],
  )
  const [row] = rows
  if (row === undefined) throw new Error('no counts')
  return row
}

const untilAllDelivered = (businessId: string) =>
  eventually(`all of ${businessId} are delivered`, async () => (await countsOf(businessId)).pending === 0)

/** Deliveries of another business that are sent after what has been read by now: sweeps have come and gone. */
async function signsOfLife(): Promise<void> {
  const businessId = await newBusiness(0)
  for (const callSid of ['CA-life-1', 'CA-life-2', 'CA-life-3'])
    await untilStatus(database, await enqueue(database, businessId, callSid), 'delivered')
}

const settings = { WEBHOOK_RETRY_SCHEDULE: '1h,1h', WEBHOOK_TIMEOUT: '40s' }
const failing = { status: 500, body: 'no' }

describe('a dispatcher', () => {
  test('five failures open the breaker, probes go one by one, a success closes it and the backlog ramps up', async () => {
    const business = await newBusiness(60, 4)
    let open = 0
    let atOnce = 0
    let accepts = false
    let successes = 0
    const tooMany: string[] = []
    receiver.answers.always(`/${business}`, (_request, response) => {
      open += 1
      atOnce = Math.max(atOnce, open)
      // The probe's success allows one, each one after that one more.
      if (accepts && open > Math.max(1, successes)) tooMany.push(`${open} after ${successes} successes`)
      setTimeout(() => {
        open -= 1
        if (accepts) successes += 1
        response.writeHead(accepts ? 200 : 500).end()
      }, 20)
    })
    runDispatcher(database.url, settings)

    const opened = await untilRoute(database, business, 'failing')
    expect(opened).toMatchObject({ reason: 'HTTP 500', probes: 0 })
    expect(opened.since).toBeInstanceOf(Date)
    expect(opened.probe_in_ms).toBeLessThanOrEqual(1_000)
    await eventually('what was in flight is answered', () => open === 0)
    const before = postsOf(business).length
    expect(before).toBeGreaterThanOrEqual(5)
    expect(before).toBeLessThanOrEqual(8)
    atOnce = 0
    const probed = await untilRoute(database, business, 'failing', ({ probes }) => probes === 2)
    expect(probed.since).toEqual(opened.since)
    expect(probed.failing_for_ms).toBeGreaterThan(2_000)
    await eventually('the probes are settled', async () => (await countsOf(business)).attempts === before + 2)
    expect(atOnce).toBe(1)
    expect(await countsOf(business)).toMatchObject({ pending: 60, moved: before, probed: 2, untried: 58 - before })
    expect(new Set(postsOf(business).map(({ webhookId }) => webhookId)).size).toBe(before + 2)

    accepts = true
    atOnce = 0
    await database.pool.query('update webhook_due set due_at = now() where business_id = $1', [business])
    await changeRoute(database, business, 'probe_at = now()')
    await untilAllDelivered(business)
    expect(await routeOf(database, business)).toMatchObject({ state: 'active', reason: null, probes: 0 })
    expect(tooMany).toEqual([])
    expect(atOnce).toBe(4)
    expect((await countsOf(business)).attempts).toBe(before + 2 + 60)
  })

  test('what is in flight when the breaker opens is no probe: its schedule moves, and the next probe is in a second', async () => {
    const business = await newBusiness(40, 16)
    receiver.answers.always(`/${business}`, 'hang')
    runDispatcher(database.url, settings)
    await eventually('16 hang', () => receiver.answers.hanging === 16)
    receiver.answers.always(`/${business}`, failing)
    receiver.answers.release(failing)
    const { probes, probe_in_ms } = await untilRoute(database, business, 'failing')
    expect(probes).toBe(0)
    expect(probe_in_ms).toBeLessThanOrEqual(1_000)
    // The first four failures made room for four more.
    const { attempts } = await eventually('all are settled', async () => {
      const counts = await countsOf(business)
      return counts.attempts === postsOf(business).length && counts
    })
    expect(attempts).toBeGreaterThanOrEqual(16)
    expect(await countsOf(business)).toMatchObject({ moved: attempts, probed: 0 })
    receiver.answers.always(`/${business}`, null)
    await untilRoute(database, business, 'active')
  })

  test('another dispatcher takes over an open breaker as it is', async () => {
    const business = await newBusiness(40, 8)
    receiver.answers.always(`/${business}`, failing)
    const former = runDispatcher(database.url, settings)
    await untilRoute(database, business, 'failing', ({ probes }) => probes === 1)
    await former.stop()
    const { probes } = await routeOf(database, business)
    const posts = postsOf(business).length
    runDispatcher(database.url, settings)
    await signsOfLife()
    const later = await untilRoute(database, business, 'failing', (route) => route.probes > probes)
    // Each POST since then is one that the breaker counts as a probe; without it there would be eight at once.
    expect(postsOf(business).length - posts).toBe(later.probes - probes)
    receiver.answers.always(`/${business}`, null)
    await changeRoute(database, business, 'probe_at = now()')
    await untilRoute(database, business, 'active')
  })

  test('no probe before its time, though everything is due', async () => {
    const business = await newBusiness(20)
    await changeRoute(
      database,
      business,
      `state = 'failing', probes = 6, failing_since = now(), probe_at = now() + interval '1 hour'`,
    )
    runDispatcher(database.url, settings)
    await signsOfLife()
    expect(postsOf(business)).toEqual([])
    expect(await countsOf(business)).toMatchObject({ pending: 20, untried: 20, attempts: 0 })
    await changeRoute(database, business, 'probe_at = now()')
    await untilAllDelivered(business)
    expect(await countsOf(business)).toMatchObject({ delivered: 20, attempts: 20 })
  })

  test('410 parks the route; unparked, all is delivered', async () => {
    const business = await newBusiness(20, 1)
    receiver.answers.always(`/${business}`, { status: 410 })
    runDispatcher(database.url, settings)
    const parked = await untilRoute(database, business, 'parked')
    expect(parked).toMatchObject({ reason: 'the endpoint answered 410 Gone', probe_in_ms: null })
    expect(parked.since).toBeInstanceOf(Date)
    await enqueue(database, business, 'CA-while-parked')
    await signsOfLife()
    expect(postsOf(business).length).toBe(1)
    expect(await countsOf(business)).toMatchObject({ pending: 21, untried: 20, probed: 1, moved: 0, attempts: 1 })

    receiver.answers.always(`/${business}`, null)
    await changeRoute(database, business, `state = 'active', state_reason = null, failing_since = null, probes = 0`)
    await untilAllDelivered(business)
    expect(await countsOf(business)).toMatchObject({ delivered: 21, attempts: 22, moved: 0 })
  })

  test('five days without one success park the route, less does not', async () => {
    const [long, short] = [await newBusiness(10), await newBusiness(10)]
    for (const business of [long, short]) receiver.answers.always(`/${business}`, failing)
    const since = (ago: string) =>
      `state = 'failing', state_since = now(), probes = 9, failing_since = now() - interval '${ago}', probe_at = now()`
    await changeRoute(database, long, since('5 days 1 second'))
    await changeRoute(database, short, since('4 days 23 hours'))
    runDispatcher(database.url, settings)
    expect((await untilRoute(database, long, 'parked')).reason).toBe(
      'no success for 5 days; the last failure: HTTP 500',
    )
    const { failing_for_ms, probe_in_ms } = await untilRoute(database, short, 'failing', ({ probes }) => probes === 10)
    expect(failing_for_ms).toBeGreaterThan(4.9 * 86_400_000)
    expect(probe_in_ms).toBeGreaterThan(200_000)
    await signsOfLife()
    for (const business of [long, short]) {
      expect(postsOf(business).length).toBe(1)
      expect(await countsOf(business)).toMatchObject({ pending: 10, untried: 9, moved: 0 })
    }
  })

  test('a route that the operator parks in the middle of its backlog stops, and goes on when it is unparked', async () => {
    const business = await newBusiness(400, 2)
    receiver.answers.always(`/${business}`, (_request, response) => void setTimeout(() => response.end(), 20))
    runDispatcher(database.url, settings)
    await eventually('some were sent', () => postsOf(business).length > 5)
    await changeRoute(database, business, `state = 'parked', state_reason = 'holiday', state_since = now()`)
    const { version } = await routeOf(database, business)
    let before = -1
    await eventually('nothing more is sent', async () => {
      const same = postsOf(business).length === before
      before = postsOf(business).length
      if (!same) await signsOfLife()
      return same
    })
    expect(before).toBeLessThan(400)
    await eventually('all is settled', async () => (await countsOf(business)).attempts === before)
    expect(await countsOf(business)).toMatchObject({ pending: 400 - before, delivered: before, untried: 400 - before })
    expect(await routeOf(database, business)).toMatchObject({ state: 'parked', reason: 'holiday', version })

    await changeRoute(database, business, `state = 'active', state_reason = null`)
    receiver.answers.always(`/${business}`, null)
    await untilAllDelivered(business)
    expect(postsOf(business).length).toBe(400)
  })

  test.each([
    [
      'a success',
      { status: 200 },
      `state = 'parked', state_reason = 'holiday'`,
      { state: 'parked', reason: 'holiday' },
    ],
    ['a failure', failing, `state = 'parked', state_reason = 'holiday'`, { state: 'parked', reason: 'holiday' }],
    ['410', { status: 410 }, `state = 'parked', state_reason = 'holiday'`, { state: 'parked', reason: 'holiday' }],
    ['a failure', failing, `probes = 9, probe_at = now() + interval '1 hour'`, { state: 'failing', probes: 9 }],
    ['410', { status: 410 }, `probes = 9, probe_at = now() + interval '1 hour'`, { state: 'failing', probes: 9 }],
    ['a success', { status: 200 }, `probes = 9, probe_at = now() + interval '1 hour'`, { state: 'failing', probes: 9 }],
  ])(
    '%s that is heard late undoes nothing that others wrote meanwhile: %o',
    async (_named, reply, written, expected) => {
      const business = await newBusiness(5)
      await changeRoute(database, business, `state = 'failing', probes = 1, failing_since = now(), probe_at = now()`)
      receiver.answers.always(`/${business}`, 'hang')
      runDispatcher(database.url, settings)
      await eventually('the probe hangs', () => receiver.answers.hanging === 1)
      await changeRoute(database, business, written)
      const { version } = await routeOf(database, business)
      receiver.answers.release(reply)
      await eventually('it is settled', async () => (await countsOf(business)).attempts === 1)
      await signsOfLife()
      expect(await routeOf(database, business)).toMatchObject({ ...expected, version })
      receiver.answers.always(`/${business}`, null)
    },
  )
})
