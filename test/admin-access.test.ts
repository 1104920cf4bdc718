import { connect, Socket } from 'node:net'
import { pino } from 'pino'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { SignInLimit } from '../src/admin/sign-in-limit.ts'
import { type AdminApi, operatorToken, otherToken, startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'

let database: TestDatabase
let api: AdminApi
beforeAll(async () => {
  database = await createTestDatabase()
  api = await startAdminApi(database)
})

const problem = (status: number) =>
  expect.objectContaining({ type: 'about:blank', status, title: expect.any(String), detail: expect.any(String) })

describe('who may', () => {
  test.each([
    ['none', undefined],
    ['another scheme', `Basic ${operatorToken}`],
    ['an unknown token', 'Bearer not-a-token-of-ours'],
    ['a beginning of a token', `Bearer ${operatorToken.slice(0, -1)}`],
    ['a token and more', `Bearer ${operatorToken}x`],
    ['two tokens', `Bearer ${otherToken} ${operatorToken}`],
    ['an empty token', 'Bearer '],
  ])('%s is refused with 401, on paths that exist and others', async (_name, authorization) => {
    for (const path of ['/admin/deliveries', '/admin/nothing']) {
      const response = await fetch(`${api.url}${path}`, { headers: authorization ? { authorization } : {} })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toMatch(/^Bearer realm="callbox"/)
      expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(await response.json()).toEqual(problem(401))
    }
  })

  test('each of several tokens opens it, and the log names whose it was', async () => {
    for (const [token, name] of [
      [operatorToken, 'night'],
      [otherToken, 'day'],
    ]) {
      const answer = await api.send('PUT', '/admin/businesses/7', {}, { authorization: `bearer ${token}` })
      expect(answer.status).toBeLessThan(300)
      expect(JSON.parse(api.logs.at(-1) ?? '')).toMatchObject({ event: 'admin.business_changed', operator: name })
    }
    expect(api.logs.join('')).not.toMatch(new RegExp(`${operatorToken}|${otherToken}`))
  })

  test('other paths are left to others', async () => {
    const response = await fetch(`${api.url}/healthz`)
    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).not.toContain('problem')
  })
})

describe('errors are problem details', () => {
  test.each([
    ['no such path', 'GET', '/admin/unknown', undefined, 404],
    ['no such business', 'GET', '/admin/businesses/999', undefined, 404],
    ['a method that a path lacks', 'DELETE', '/admin/businesses/999', undefined, 405],
    ['JSON that is not', 'PUT', '/admin/businesses/1', '{"name": "secret-word', 400],
    ['a body that is no object', 'PUT', '/admin/businesses/1', '[]', 400],
    ['a body that is a plain value', 'PUT', '/admin/businesses/1', '"x"', 400],
    ['no body', 'PUT', '/admin/businesses/1', undefined, 400],
    ['a body over 256 KB', 'PUT', '/admin/businesses/1', JSON.stringify({ name: 'x'.repeat(262_144) }), 413],
    ['a path that is no UTF-8', 'GET', '/admin/calls/%ff', undefined, 400],
    ['a path with a broken escape', 'GET', '/admin/calls/%zz', undefined, 400],
  ])('%s', async (_name, method, path, body, status) => {
    const answer = await api.send(method, path, body)
    expect(answer.json).toEqual(problem(status))
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(answer.text).not.toContain('secret-word')
  })

  test('405 says what is possible', async () => {
    const answer = await api.send('POST', '/admin/businesses/1', {})
    expect(answer.headers.get('allow')).toBe('GET, PUT')
  })

  test('a body that is not called JSON is 415, an unknown encoding too', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    expect((await api.send('PUT', '/admin/businesses/1', 'name=x', form)).json).toEqual(problem(415))
    expect((await api.send('PUT', '/admin/businesses/1', '{}', { 'content-encoding': 'x' })).json).toEqual(problem(415))
    const latin = { 'content-type': 'application/json; charset=latin1' }
    expect((await api.send('PUT', '/admin/businesses/1', '{}', latin)).json).toEqual(problem(415))
  })

  test('several wrong fields are all named, with what they take', async () => {
    const answer = await api.send('GET', '/admin/deliveries?limit=0&status=lost&stat=failed&status=failed')
    expect(answer.json).toEqual(problem(400))
    expect(answer.json.errors).toEqual([
      { field: 'status', detail: 'got a list of 2; expected pending, delivered, failed or skipped' },
      { field: 'limit', detail: 'got "0"; expected a whole number from 1 to 200' },
      { field: 'stat', detail: expect.stringContaining('is not known here; expected status, ') },
    ])
  })

  test('a request that breaks off harms nobody', async () => {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    socket.write(
      `PUT /admin/businesses/1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${operatorToken}\r\n` +
        'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name":',
    )
    await new Promise((resolve) => socket.once('ready', resolve))
    socket.destroy()
    expect((await api.send('GET', '/admin/businesses')).status).toBe(200)
  })
})

describe('failed sign-ins', () => {
  /** Behind a proxy of this machine, so the address is what it says. */
  const knock = (token: string, address: string) =>
    api.send('GET', '/admin/businesses', undefined, {
      authorization: `Bearer ${token}`,
      'x-forwarded-for': address,
    })
  const fail = async (address: string, times: number): Promise<number[]> => {
    const statuses: number[] = []
    for (let n = 0; n < times; n++) statuses.push((await knock(`guess-${n}`, address)).status)
    return statuses
  }

  test('ten within a minute, then 429 with Retry-After, for a right token too', async () => {
    expect(await fail('198.51.100.1', 12)).toEqual([...Array(10).fill(401), 429, 429])
    const answer = await knock(operatorToken, '198.51.100.1')
    expect(answer.json).toEqual(problem(429))
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(60)
    const lines = api.logs.filter((line) => line.includes('admin.sign_ins_refused'))
    expect(lines.map((line) => JSON.parse(line).address)).toEqual(['198.51.100.1'])
    expect(lines.join()).not.toContain('guess')
  })

  test('a right token from another address is never refused', async () => {
    await fail('198.51.100.2', 20)
    expect((await knock(operatorToken, '198.51.100.3')).status).toBe(200)
  })

  test('right tokens count as nothing', async () => {
    for (let n = 0; n < 20; n++) expect((await knock(operatorToken, '198.51.100.4')).status).toBe(200)
    expect(await fail('198.51.100.4', 9)).toEqual(Array(9).fill(401))
    expect((await knock(operatorToken, '198.51.100.4')).status).toBe(200)
  })

  test('all at once are no more than one after the other', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => knock(`guess-${n}`, '198.51.100.5')))
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(10)
  })

  test('one host of IPv6 is its /64; IPv4 written as IPv6 is the same IPv4', async () => {
    await fail('2001:db8:1:1::1', 10)
    expect((await knock(operatorToken, '2001:db8:1:1:ffff::2')).status).toBe(429)
    expect((await knock(operatorToken, '2001:db8:1:2::1')).status).toBe(200)
    await fail('198.51.100.6', 10)
    expect((await knock(operatorToken, '::ffff:198.51.100.6')).status).toBe(429)
  })

  test('a port that a proxy wrote beside the address makes it no other', async () => {
    for (let port = 0; port < 10; port++) await fail(`198.51.100.9:${50_000 + port}`, 1)
    expect((await knock(operatorToken, '198.51.100.9')).status).toBe(429)
    await fail('[2001:db8:1:3::1]:50000', 10)
    expect((await knock(operatorToken, '2001:db8:1:3::2')).status).toBe(429)
    expect((await knock(operatorToken, '198.51.100.10:50000')).status).toBe(200)
  })

  test('of a chain of proxies only what ours wrote is believed', async () => {
    await fail('198.51.100.7', 10)
    expect((await knock(operatorToken, '203.0.113.1, 198.51.100.7, 10.0.0.1')).status).toBe(429)
    expect((await knock(operatorToken, '198.51.100.7, 203.0.113.1')).status).toBe(200)
    // What is no address is not believed either: then it is the proxy's own.
    expect((await knock(operatorToken, 'unknown')).status).toBe(200)
  })
})

test('the minute over, an address may try again', async () => {
  vi.useFakeTimers()
  try {
    const limit = new SignInLimit([{ name: 'night', token: operatorToken }], pino({ level: 'silent' }))
    const request = { ip: '198.51.100.8', socket: new Socket(), headers: {} }
    for (let n = 0; n < 10; n++) expect(await limit.operatorFor('guess', request)).toBeNull()
    await expect(limit.operatorFor(operatorToken, request)).rejects.toMatchObject({ status: 429 })
    vi.advanceTimersByTime(59_000)
    await expect(limit.operatorFor(operatorToken, request)).rejects.toMatchObject({ headers: { 'Retry-After': '1' } })
    vi.advanceTimersByTime(1_000)
    expect(await limit.operatorFor(operatorToken, request)).toBe('night')
    expect(await limit.operatorFor(operatorToken, { ...request, ip: undefined })).toBe('night')
  } finally {
    vi.useRealTimers()
  }
})
