import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
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
import { startConsole, type TestConsole } from './helpers/console.ts'
import { fillForConsole } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { startTcpProxy } from './helpers/tcp-proxy.ts'

if (!hasBrowser) process.stderr.write(`the console is not tried in a browser: there is no ${chromiumPath}\n`)

describe.skipIf(!hasBrowser)('in a browser', () => {
  let database: TestDatabase
  let site: TestConsole
  let browser: Browser
  beforeAll(async () => {
    database = await createTestDatabase()
    site = await startConsole(database)
    await fillForConsole(database)
    browser = await launchBrowser()
  })
  afterAll(() => browser?.close())

  async function newPage(
    settings: Parameters<Browser['newContext']>[0] = {},
    url = site.url,
  ): Promise<[Page, BrowserContext]> {
    const context = await browser.newContext(settings)
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await signIn(page, url, operatorToken)
    return [page, context]
  }

  /** What the browser complains of, such as what the Content-Security-Policy forbids. */
  function complaintsOf(page: Page): string[] {
    const complaints: string[] = []
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('dialog', (dialog) => complaints.push(`a dialog: ${dialog.message()}`))
    return complaints
  }

  const paths = ['', '/routes', '/routes/31/inbound', '/routes?business_id=10', '/audit']

  test.each(looks)(
    'every page is accessible, fits, and breaks no rule of its own: $name',
    async ({ name: _, ...look }) => {
      const [page] = await newPage(look)
      const complaints = complaintsOf(page)
      for (const path of paths) {
        await page.goto(`${site.url}/console${path}`)
        expect([path, await accessibilityFindings(page)]).toEqual([path, []])
        expect([path, await scrollsSideways(page)]).toEqual([path, false])
      }
      await page.goto(`${site.url}/console/sign-in`)
      expect(complaints).toEqual([])
    },
  )

  test('the sign-in is accessible, and works by keyboard', async () => {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    await page.goto(`${site.url}/console/routes`)
    expect(await accessibilityFindings(page)).toEqual([])
    await page.keyboard.type('not a token')
    await page.keyboard.press('Enter')
    await page.getByRole('alert').waitFor()
    expect(await accessibilityFindings(page)).toEqual([])
    await page.keyboard.type(operatorToken)
    await page.keyboard.press('Enter')
    await page.waitForURL(`${site.url}/console/routes`)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    expect(await page.evaluate('document.activeElement.id')).toBe('main')
  })

  test('a link of another site opens the page for those who are signed in', async () => {
    const [page] = await newPage()
    const elsewhere = await startLoopbackServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end(`<a href="${site.url}/console/audit?operator=day">here</a>`)
    })
    onTestFinished(() => elsewhere.close())
    await page.goto(elsewhere.url.replace('127.0.0.1', 'localhost'))
    await page.getByRole('link', { name: 'here' }).click()
    await page.getByRole('heading', { name: 'Audit' }).waitFor()
    expect(page.url()).toBe(`${site.url}/console/audit?operator=day`)
    await page.goto(`${site.url}/console`)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
  })

  test('a route is parked and unparked', async () => {
    const [page] = await newPage()
    await page.goto(`${site.url}/console/routes?business_id=10`)
    await page.getByRole('link', { name: '10 outbound' }).click()
    await page.getByLabel('Reason').fill('they move house')
    await page.getByRole('button', { name: 'Park the route' }).click()
    await page.getByText('The route is parked.').waitFor()
    await page.getByText('they move house').waitFor()
    await page.getByRole('button', { name: 'Unpark the route' }).click()
    await page.getByText('The route is active.').waitFor()
  })

  test('the overview changes by itself under the hands of those who use it', async () => {
    const [page] = await newPage()
    const complaints = complaintsOf(page)
    const link = page.getByRole('link', { name: '31 inbound' })
    await link.focus()
    await database.pool.query(
      `update routes set state = 'parked', state_reason = 'seen live', state_since = now()
       where business_id = 10 and direction = 'inbound'`,
    )
    await page.getByText('seen live').waitFor()
    expect(await page.evaluate('document.activeElement.textContent')).toBe('31 inbound')
    expect(await page.locator('#live').textContent()).toBe('Live')
    expect(complaints).toEqual([])
  })

  test('a page whose connection is lost says so, and goes on when it is back', async () => {
    const proxy = await startTcpProxy(site.url)
    onTestFinished(() => proxy.close())
    const [page] = await newPage({}, proxy.databaseUrl.replace(/\/$/, ''))
    await page.getByText('Live', { exact: true }).waitFor()
    proxy.cut()
    await page.getByText('Not live').waitFor()
    proxy.restore()
    await page.getByText('Live', { exact: true }).waitFor()
  })

  test('a page that could not be live at first tries again', async () => {
    const context = await browser.newContext()
    onTestFinished(() => context.close())
    const page = await context.newPage()
    let isRefused = true
    await page.route('**/console/overview/events', (route) =>
      isRefused ? route.fulfill({ status: 503, body: 'not now' }) : route.continue(),
    )
    await signIn(page, site.url, operatorToken)
    await page.getByText('Not live').waitFor()
    expect(await page.locator('#overview').textContent()).toContain('Dispatchers')
    isRefused = false
    await page.getByText('Live', { exact: true }).waitFor()
  })

  test('a page whose session is over leads to the sign-in', async () => {
    const proxy = await startTcpProxy(site.url)
    onTestFinished(() => proxy.close())
    const [page, context] = await newPage({}, proxy.databaseUrl.replace(/\/$/, ''))
    await page.getByText('Live', { exact: true }).waitFor()
    await context.clearCookies()
    proxy.cut()
    await page.getByText('Not live').waitFor()
    proxy.restore()
    await page.getByLabel('Admin token').waitFor()
  })
})
