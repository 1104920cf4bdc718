import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  accessibilityFindings,
  chromiumPath,
  hasBrowser,
  launchBrowser,
  looks,
  scrollsSideways,
} from './helpers/browser.ts'
import { startConsole, type TestConsole } from './helpers/console.ts'
import { fillForConsole, hebrew, hostile } from './helpers/console-data.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { openConsole } from './helpers/open-console.ts'

if (!hasBrowser) process.stderr.write(`the console's pages are not tried in a browser: there is no ${chromiumPath}\n`)

describe.skipIf(!hasBrowser)('every page in a browser', () => {
  let browser: Browser
  let site: TestConsole
  let paths: string[]
  beforeAll(async () => {
    browser = await launchBrowser()
    const database = await createTestDatabase()
    site = await startConsole(database)
    await fillForConsole(database)
    paths = await everyPage(database)
  })
  afterAll(() => browser?.close())

  test.each(looks)(
    'is accessible, fits, and breaks no rule of its own: $name',
    { timeout: 180_000 },
    async ({ name: _, ...look }) => {
      const page = await openConsole(browser, site.url, look)
      for (const path of paths) {
        await page.goto(`${site.url}/console/${path}`)
        expect([path, await accessibilityFindings(page)]).toEqual([path, []])
        expect([path, await scrollsSideways(page)]).toEqual([path, false])
      }
    },
  )

  test('so are the answers to orders that cannot be made', async () => {
    const page = await openConsole(browser, site.url)
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
    const page = await openConsole(browser, site.url)
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
    const page = await openConsole(browser, site.url)
    await page.goto(`${site.url}/console/deliveries`)
    await page.getByLabel('Status').selectOption('failed')
    await page.waitForURL(/status=failed/)
    await page.getByLabel('Since').fill('2025-12-10T14:23:45')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.waitForURL(/since=2025-12-10T14/)
    expect(await page.getByLabel('Since').inputValue()).toBe('2025-12-10T14:23:45')
  })
})

/** Paths below `/console` of all pages that this file is about, with what is stored. */
async function everyPage({ pool }: TestDatabase): Promise<string[]> {
  const { rows: deliveries } = await pool.query(
    `select distinct on (status) id from webhook_deliveries order by status, id`,
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
