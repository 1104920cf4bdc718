import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { operatorToken } from './helpers/admin-api.ts'
import {
  accessibilityFindings,
  chromiumPath,
  hasBrowser,
  launchBrowser,
  looks,
  scrollsSideways,
  signIn,
} from './helpers/browser.ts'
import { putBusiness } from './helpers/businesses.ts'
import { startConsole, type TestConsole } from './helpers/console.ts'
import { fillForConsole, hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { eventually } from './helpers/eventually.ts'
import { deliveryOf, enqueue, untilStatus } from './helpers/outbox.ts'
import { startProcess } from './helpers/processes.ts'

if (!hasBrowser) process.stderr.write(`the console's pages are not tried in a browser: there is no ${chromiumPath}\n`)

describe.skipIf(!hasBrowser)('in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  /** Signs in; what the browser complains of fails the test, but for answers that are errors and none at all. */
  async function open(url: string, settings: Parameters<Browser['newContext']>[0] = {}): Promise<Page> {
    const context = await browser.newContext(settings)
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('dialog', (dialog) => complaints.push(`a dialog: ${dialog.message()}`))
    onTestFinished(async () => {
      await context.close()
      expect(complaints.filter((one) => !/Failed to (load resource|fetch)/.test(one))).toEqual([])
    })
    await signIn(page, url, operatorToken)
    return page
  }

  describe('every page', () => {
    let site: TestConsole
    let paths: string[]
    beforeAll(async () => {
      const database = await createTestDatabase()
      site = await startConsole(database)
      await fillForConsole(database)
      paths = await everyPage(database)
    })

    test.each(looks)(
      'is accessible, fits, and breaks no rule of its own: $name',
      { timeout: 180_000 },
      async ({ name: _, ...look }) => {
        const page = await open(site.url, look)
        for (const path of paths) {
          await page.goto(`${site.url}/console/${path}`)
          expect([path, await accessibilityFindings(page)]).toEqual([path, []])
          expect([path, await scrollsSideways(page)]).toEqual([path, false])
        }
      },
    )

    test('so are the answers to orders that cannot be made', async () => {
      const page = await open(site.url)
      await page.goto(`${site.url}/console/businesses/10`)
      await page.getByLabel('Inbound webhook URL').fill(hostile)
      await page.getByLabel('Phone numbers').fill(hebrew)
      await page.getByLabel('At most', { exact: true }).check()
      await page.getByRole('button', { name: 'Save the settings' }).click()
      await page.getByRole('alert').waitFor()
      expect(await page.getByLabel('Phone numbers').inputValue()).toBe(hebrew)
      expect(await accessibilityFindings(page)).toEqual([])
    })

    test('a row of a list is opened by keyboard, and by a click anywhere on it', async () => {
      const page = await open(site.url)
      await page.goto(`${site.url}/console/deliveries?status=failed`)
      await page
        .getByRole('link', { name: /^failed delivery/ })
        .first()
        .focus()
      await page.keyboard.press('Enter')
      await page.waitForURL(/deliveries\/[0-9a-f-]{36}$/)
      await page.goto(`${site.url}/console/calls`)
      await page.getByText('1 min 35 s').first().click({ force: true })
      await page.waitForURL(/calls\/CA0+$/)
    })

    test('a filter takes effect as it is chosen', async () => {
      const page = await open(site.url)
      await page.goto(`${site.url}/console/deliveries`)
      await page.getByLabel('Status').selectOption('failed')
      await page.waitForURL(/status=failed/)
      await page.getByLabel('Since').fill('2025-12-10T14:23:45')
      await page.getByRole('button', { name: 'Filter' }).click()
      await page.waitForURL(/since=2025-12-10T14/)
      expect(await page.getByLabel('Since').inputValue()).toBe('2025-12-10T14:23:45')
    })
  })

  describe('an operator', () => {
    let database: TestDatabase
    let site: TestConsole
    let receiver: Receiver
    beforeAll(async () => {
      database = await createTestDatabase()
      site = await startConsole(database)
      receiver = await startReceiver()
    })
    afterAll(() => receiver.close())

    test('finds a failed delivery, reads its attempts, requeues it and sees it delivered', async () => {
      const secret = await putBusiness(database, '1', { inbound: `${receiver.url}/one`, headers: { 'X-Key': 'k' } })
      receiver.endpoint('/one', secret)
      for (let n = 0; n < 3; n++) receiver.answers.queue('/one', { status: 500, body: `the flow broke: ${hostile}` })
      const id = await enqueue(database, '1', 'CA0123', 'inbound', JSON.stringify({ summary: hebrew, note: hostile }))
      runDispatcher(database.url, { WEBHOOK_RETRY_SCHEDULE: '50ms,50ms' })
      await untilStatus(database, id, 'failed')

      const page = await open(site.url)
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
      await page.getByRole('link', { name: 'Deliveries', exact: true }).click()
      await page.getByLabel('CallSid').fill('CA0123')
      await page.keyboard.press('Enter')
      await page.getByRole('link', { name: /^failed delivery/ }).click()
      await page.getByText(`the flow broke: ${hostile}`).first().waitFor()
      await page.getByText('6 headers').first().click()
      await page.getByText('as the business has it now').first().waitFor()
      expect(await page.getByRole('heading', { name: /^Attempt/ }).allTextContents()).toEqual([
        ...['Attempt 1', 'Attempt 2', 'Attempt 3'],
      ])
      await page.getByRole('button', { name: 'Copy as curl' }).click()
      await page.getByRole('button', { name: 'Copied' }).waitFor()
      const copied = await page.evaluate<string>('navigator.clipboard.readText()')
      expect(copied).toContain(`curl --globoff --request POST '${receiver.url}/one'`)

      await page.getByRole('button', { name: 'Requeue' }).click()
      await page.getByRole('heading', { name: 'Attempt 4' }).waitFor()
      await page
        .locator('#progress')
        .getByText(/delivered$/)
        .waitFor()
      expect(await page.locator('#progress').getAttribute('hx-get')).toBeNull()
      expect((await deliveryOf(database, id)).status).toBe('delivered')
    })

    test('keeps what is unfolded while the page brings itself up to date', async () => {
      await putBusiness(database, '2', { inbound: `${receiver.url}/two` })
      const id = await enqueue(database, '2', 'CA2')
      const attempt = (number: number): Promise<unknown> =>
        database.pool.query(
          `insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result)
           values (2, $1, gen_random_uuid(), $2, now(), 5, 'https://e.example/', 'timeout')`,
          [id, number],
        )
      await attempt(1)
      const page = await open(site.url)
      await page.goto(`${site.url}/console/deliveries/${id}`)
      await page.getByText('5 headers').click()
      await attempt(2)
      await page.getByRole('heading', { name: 'Attempt 2' }).waitFor()
      await page.getByText(`webhook-id: ${id}`).or(page.getByText('made anew for each attempt')).first().waitFor()
      expect(await page.locator('details[open]').count()).toBe(1)
    })

    test('makes a business, copies its secret, sends a test event and sees the answer', async () => {
      receiver.answers.queue('/three', { status: 404, body: 'the flow is not active' })
      runDispatcher(database.url)
      const page = await open(site.url)
      await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
      await page.getByRole('link', { name: 'Businesses' }).click()
      await page.getByRole('link', { name: 'New business' }).click()
      await page.locator('input[name=business_id]').fill('3')
      await page.getByRole('textbox', { name: 'Name', exact: true }).fill(hebrew)
      await page.getByLabel('Inbound webhook URL').fill(`${receiver.url}/three`)
      await page.getByRole('button', { name: 'Create the business' }).click()
      const secret = await page.locator('#secret').textContent()
      expect(secret).toMatch(/^whsec_/)
      expect(await accessibilityFindings(page)).toEqual([])
      await page.getByRole('button', { name: 'Copy' }).click()
      await page.getByRole('button', { name: 'Copied' }).waitFor()
      expect(await page.evaluate('navigator.clipboard.readText()')).toBe(secret)
      receiver.endpoint('/three', secret ?? '')

      await page.getByRole('link', { name: 'Go on to business 3' }).click()
      await page.getByRole('button', { name: 'Send a test event' }).click()
      await page.locator('#test-event').getByText('the flow is not active').waitFor()
      expect(await accessibilityFindings(page)).toEqual([])
      expect(receiver.posts.find((post) => post.path === '/three')?.verified).toBe(true)
    })
  })

  test('a bulk requeue goes on across a kill -9 of the API, and its page with it', async () => {
    const database = await createTestDatabase()
    await database.pool.query(
      `select count(callbox_enqueue(1, 'CA' || n, 'call.completed', 'inbound', '{}')) from generate_series(1, 2000) n`,
    )
    await database.pool.query(`update webhook_outbox set status = 'failed', finished_at = now(), reason = 'HTTP 500'`)
    const free = await startLoopbackServer(() => undefined)
    await free.close()
    const port = String(free.port)
    const url = `http://127.0.0.1:${port}`
    const start = () => startProcess(['api'], database.url, { PORT: port, ADMIN_TOKEN: `night:${operatorToken}` })
    const first = start()
    await first.ready()
    // The requeue waits for this one, so the API is killed in the middle of it.
    const holder = await database.pool.connect()
    onTestFinished(() => holder.release(true))
    await holder.query(`begin; select from webhook_outbox where call_sid = 'CA1700' for update`)

    const page = await open(url)
    await page.goto(`${url}/console/deliveries?status=failed&business_id=1`)
    await page.getByRole('link', { name: 'Requeue all that match' }).click()
    await page.getByRole('button', { name: 'Requeue 2,000 deliveries' }).click()
    const bar = page.getByRole('progressbar')
    await eventually('the bar is past its half', async () => Number(await bar.getAttribute('value')) > 50)
    first.signal('SIGKILL')
    await first.exited()
    await holder.query('rollback')
    expect(Number(await bar.getAttribute('value'))).toBeLessThan(100)

    const second = start()
    await second.ready()
    await page.locator('#progress').getByText(/done$/).waitFor()
    expect(await bar.getAttribute('value')).toBe('100')
    await page.reload()
    await page.getByText('2,000', { exact: true }).first().waitFor()
    const { rows } = await database.pool.query(
      'select status, version, count(*)::integer from webhook_outbox group by 1, 2',
    )
    expect(rows).toEqual([{ status: 'pending', version: 1, count: 2_000 }])
  })
})

/** Paths below `/console` of all pages that this file is about, with what is stored. */
async function everyPage({ pool }: TestDatabase): Promise<string[]> {
  const { rows: deliveries } = await pool.query(
    `select distinct on (status) id from webhook_outbox order by status, id`,
  )
  const { rows: requeues } = await pool.query(
    `insert into requeues (operator, filter, until, state, total, total_is_exact, matched, error)
     select 'night', json_build_object('business_id', '31', 'event_type', $1::text), now(), state, 200, false, 60,
            case when state = 'failed' then 'an error that was not expected' end
     from unnest(array['running', 'failed']) state
     returning id`,
    [hostile],
  )
  return [
    ...[
      'deliveries',
      'deliveries?business_id=x&status=failed',
      'requeues',
      'requeues/new',
      'requeues/new?status=delivered',
    ],
    ...['businesses', 'businesses/new', 'businesses/10', 'businesses/20', 'businesses/31', 'calls', 'callbacks'],
    ...[0, 5].map((place) => `calls/CA${String(place).padStart(32, '0')}`),
    ...deliveries.map(({ id }) => `deliveries/${id}`),
    ...requeues.map(({ id }) => `requeues/${id}`),
  ]
}
