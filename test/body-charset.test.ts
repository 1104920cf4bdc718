import { beforeAll, describe, expect, test } from 'vitest'
import { type AdminApi, operatorToken, startAdminApi } from './helpers/admin-api.ts'
import { startConsole, type TestConsole } from './helpers/console.ts'
import { hebrew } from './helpers/console-data.ts'
import { createTestDatabase } from './helpers/database.ts'

let api: AdminApi
let site: TestConsole
beforeAll(async () => {
  const database = await createTestDatabase()
  api = await startAdminApi(database)
  site = await startConsole(database)
})

const utf8 = ['utf8', 'UTF8', 'utf-8', 'UTF-8', '"utf8"', '"UTF-8"', 'unicode-1-1-utf-8']
const others = ['iso-8859-1', 'latin1', 'utf-16', 'UTF-16LE', 'windows-1255', 'us-ascii', 'utf', 'utf-80', '"no such"']

describe('the admin API', () => {
  const put = (charset: string, body: string) =>
    api.send('PUT', '/admin/businesses/1', body, { 'content-type': `application/json; charset=${charset}` })

  test.each(utf8)('takes a body with charset=%s as UTF-8', async (charset) => {
    const { status, json } = await put(charset, JSON.stringify({ name: `${hebrew} ${charset}` }))
    expect([status, json.name]).toEqual([expect.toBeOneOf([200, 201]), `${hebrew} ${charset}`])
  })

  test.each(others)('refuses a body with charset=%s, and names it', async (charset) => {
    const { status, json } = await put(charset, '{"name":"x"}')
    const given = charset.replaceAll('"', '').toLowerCase()
    expect([status, json.detail.toLowerCase()]).toEqual([415, `charset: got "${given}"; expected utf-8`])
  })

  test('accepts a request without a body', async () => {
    const headers = { 'content-type': 'application/json; charset=latin1' }
    expect((await api.send('GET', '/admin/businesses', undefined, headers)).status).toBe(200)
    expect((await api.send('POST', '/admin/routes/1/inbound/park', undefined, headers)).status).not.toBe(415)
  })
})

describe('the console', () => {
  const signIn = (charset: string) =>
    fetch(`${site.url}/console/sign-in`, {
      method: 'POST',
      body: `token=${operatorToken}`,
      headers: { origin: site.url, 'content-type': `application/x-www-form-urlencoded; charset=${charset}` },
      redirect: 'manual',
    })

  test.each(utf8)('takes a form with charset=%s', async (charset) => {
    expect((await signIn(charset)).status).toBe(303)
  })

  test.each(['iso-8859-1', 'utf-16'])('refuses a form with charset=%s', async (charset) => {
    const answer = await signIn(charset)
    expect(answer.status).toBe(415)
    expect(await answer.text()).toContain('expected utf-8')
  })
})
