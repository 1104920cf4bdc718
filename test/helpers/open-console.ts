import type { Browser, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { operatorToken } from './admin-api.ts'
import { signIn } from './browser.ts'

/**
 * A page on which the operator is signed in, closed when the test ends. What the browser complains of fails the test, but
 * for answers that are errors and none at all.
 */
export async function openConsole(
  browser: Browser,
  url: string,
  settings: Parameters<Browser['newContext']>[0] = {},
): Promise<Page> {
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
