import { beforeAll, describe, expect, test } from 'vitest'
import { startConsole, type TestConsole } from './helpers/console.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

let database: TestDatabase
let site: TestConsole
beforeAll(async () => {
  database = await createTestDatabase()
  site = await startConsole(database)
})

describe('sign in', () => {
  test('leads to the page that was asked for', async () => {
    const visitor = site.visitor()
    const turned = await visitor.get('/console')
    expect(turned.status).toBe(303)
    const page = await visitor.follow(turned)
    expect(page.status).toBe(200)
    const one = await site.signedIn()
    const overview = await one.get('/console')
    expect(overview.status).toBe(200)
    expect(overview.text).toContain('<h1 dir="auto">Overview</h1>')
  })
})
