import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { type Receiver, startReceiver } from '../src/demo/receiver.ts'
import { operatorToken } from './helpers/admin-api.ts'
import { accessibilityFindings, chromiumPath, hasBrowser, launchBrowser } from './helpers/browser.ts'
import { putBusiness } from './helpers/businesses.ts'
import { startConsole, type TestConsole } from './helpers/console.ts'
import { hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { runDispatcher } from './helpers/dispatchers.ts'
import { dueChanges, watchDueRows } from './helpers/due-changes.ts'
import { eventually } from './helpers/eventually.ts'
import { openConsole } from './helpers/open-console.ts'
import { deliveryOf, enqueue, setDeliveries, untilStatus } from './helpers/outbox.ts'
import { startProcess } from './helpers/processes.ts'

if (!hasBrowser)
  process.stderr.write(`the console's journeys are not tried in a browser: there is no ${chromiumPath}\n`)

describe.skipIf(!hasBrowser)('in a browser', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

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

      const page = await openConsole(browser, site.url)
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
      const page = await openConsole(browser, site.url)
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
      const page = await openConsole(browser, site.url)
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
    await setDeliveries(database, 'true', [], { status: 'failed', reason: 'HTTP 500' })
    await watchDueRows(database)
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

    const page = await openConsole(browser, url)
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
    const { rows } = await database.pool.query('select status, count(*)::integer from webhook_deliveries group by 1')
    expect(rows).toEqual([{ status: 'pending', count: 2_000 }])
    expect(await dueChanges(database)).toEqual({ 1: 2_000 })
  })
})
