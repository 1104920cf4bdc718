import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startConsole } from './helpers/console.ts'
import { createTestDatabase } from './helpers/database.ts'
import { dashboardFiles, ruleFiles } from './helpers/shipped-files.ts'

test('every page of the console that a dashboard or a runbook names is there', async () => {
  const visitor = await (await startConsole(await createTestDatabase())).signedIn()
  const texts = [...dashboardFiles, ...ruleFiles].map((file) => readFileSync(file, 'utf8'))
  const named = new Set(texts.flatMap((text) => text.match(/\/console\b(?:[\w/?=&]*\w)?/g) ?? []))
  expect(named.size).toBeGreaterThan(10)
  for (const page of named) {
    expect([page, (await visitor.get(page)).status]).toEqual([page, 200])
  }
})
