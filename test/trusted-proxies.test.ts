import { beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { startProcess } from './helpers/processes.ts'

const adminToken = 'a-token-for-this-test'

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

/** An API whose peers are all this machine, and what it answers to a token that comes with `X-Forwarded-For`. */
async function startApi(trusted: string) {
  const settings = { PORT: '0', ADMIN_TOKEN: adminToken, TRUSTED_PROXIES: trusted }
  const service = startProcess(['api'], database.url, settings)
  const { port } = await service.untilLogged('service.listening')
  await service.ready()
  const knock = async (token: string, forwardedFor: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}`, 'x-forwarded-for': forwardedFor }
    return (await fetch(`http://127.0.0.1:${port}/admin/overview`, { headers })).status
  }
  const signIn = async (token: string, forwardedFor: string): Promise<number> => {
    const origin = `http://127.0.0.1:${port}`
    const headers = { origin, 'x-forwarded-for': forwardedFor }
    const options = { method: 'POST', body: new URLSearchParams({ token }), headers, redirect: 'manual' } as const
    return (await fetch(`${origin}/console/sign-in`, options)).status
  }
  return { service, knock, signIn }
}

test('without TRUSTED_PROXIES, X-Forwarded-For does not evade the limit, and the log says what is missing', async () => {
  const { service, knock, signIn } = await startApi('')
  const statuses: number[] = []
  for (let n = 0; n < 6; n++) statuses.push(await knock('a-guess', `198.51.100.${n}`))
  for (let n = 0; n < 6; n++) statuses.push(await signIn('a-guess', `203.0.113.${n}`))
  expect(statuses).toEqual([...Array(10).fill(401), 429, 429])
  const { address, msg } = await service.untilLogged('admin.sign_ins_refused')
  expect(address).toBe('127.0.0.1')
  expect(msg).toContain('it sends X-Forwarded-For, but TRUSTED_PROXIES does not name it')
})

test('X-Forwarded-For of an untrusted peer does not lock out other addresses', async () => {
  const { knock } = await startApi('10.0.0.0/8')
  for (let n = 0; n < 9; n++) await knock('a-guess', '198.51.100.7, 10.0.0.1')
  expect(await knock(adminToken, '198.51.100.7')).toBe(200)
  expect(await knock('a-guess', '198.51.100.7')).toBe(401)
  // All ten are on the account of the peer itself.
  expect(await knock(adminToken, '203.0.113.7')).toBe(429)
})

test('behind proxies that TRUSTED_PROXIES names, each client is counted alone', async () => {
  const { knock, signIn } = await startApi('127.0.0.1,10.0.0.0/8')
  for (let n = 0; n < 10; n++) await knock('a-guess', `203.0.113.${n}, 198.51.100.7, 10.0.0.1`)
  expect(await knock(adminToken, '198.51.100.7, 10.2.3.4')).toBe(429)
  expect(await signIn(adminToken, '198.51.100.7')).toBe(429)
  expect(await knock(adminToken, '203.0.113.1, 10.0.0.1')).toBe(200)
  expect(await signIn(adminToken, '203.0.113.1')).toBe(303)
})
