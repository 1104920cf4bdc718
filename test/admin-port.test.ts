import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'
import { postCallback } from '../src/demo/twilio-callbacks.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { startProcess } from './helpers/processes.ts'
import { account, newCall, statusCallback } from './helpers/twilio.ts'

const adminToken = 'a-token-for-this-test'
const publicUrl = 'https://callbox.example'
const ofOperators = ['/admin/overview', '/console', '/console/sign-in', '/metrics', '/openapi.json']
const servers = z.array(z.object({ url: z.string() }))
const described = z.object({ servers, paths: z.record(z.string(), z.object({ servers: servers.optional() })) })
const authorization = `Bearer ${adminToken}`

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

async function startApi(settings: Record<string, string>) {
  const service = startProcess(['api'], database.url, {
    ADMIN_TOKEN: adminToken,
    PUBLIC_URL: publicUrl,
    TWILIO_ACCOUNT_SID: account.accountSid,
    TWILIO_AUTH_TOKEN: account.authToken,
    PORT: '0',
    ...settings,
  })
  const line = await service.untilLogged('service.listening')
  const { port, adminPort } = z.object({ port: z.int(), adminPort: z.int() }).parse(line)
  await service.ready()
  const get = async (at: number, path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${at}${path}`, { headers: { authorization, ...headers }, redirect: 'manual' })
  const statusOf = async (at: number, path: string): Promise<number> => (await get(at, path)).status
  const callBack = (at: number): Promise<number> => {
    const { kind, params } = statusCallback(newCall())
    return postCallback(account.authToken, `${publicUrl}/webhook/${kind}`, params, `http://127.0.0.1:${at}`)
  }
  return { service, port, adminPort, get, statusOf, callBack }
}

describe('ADMIN_PORT', () => {
  test('moves what is not for Twilio off its port, and keeps health on both', async () => {
    const api = await startApi({ ADMIN_PORT: '0' })
    expect(api.adminPort).not.toBe(api.port)
    for (const path of ofOperators) {
      expect([path, await api.statusOf(api.port, path)]).toEqual([path, 404])
      expect([path, await api.statusOf(api.adminPort, path)]).toEqual([path, path === '/console' ? 303 : 200])
    }
    for (const path of ['/healthz', '/readyz']) {
      expect([path, await api.statusOf(api.port, path)]).toEqual([path, 200])
      expect([path, await api.statusOf(api.adminPort, path)]).toEqual([path, 200])
    }
    expect(await api.callBack(api.port)).toBe(204)
    expect(await api.callBack(api.adminPort)).toBe(404)
  })

  test('answers 404 without a hint of the other port', async () => {
    const api = await startApi({ ADMIN_PORT: '0' })
    const answer = await api.get(api.port, '/admin/overview')
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(await answer.json()).toMatchObject({ status: 404, detail: 'there is no such path' })
  })

  test('lets operators sign in over http there, whatever Twilio calls, and names both addresses', async () => {
    const api = await startApi({ ADMIN_PORT: '0' })
    const origin = `http://127.0.0.1:${api.adminPort}`
    const body = new URLSearchParams({ token: adminToken })
    const options = { method: 'POST', body, headers: { origin }, redirect: 'manual' } as const
    const answer = await fetch(`${origin}/console/sign-in`, options)
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/console'])
    const [cookie = ''] = answer.headers.getSetCookie()
    expect(cookie).not.toContain('Secure')
    const page = await api.get(api.adminPort, '/console', { cookie: cookie.split(';')[0] ?? '' })
    expect(page.status).toBe(200)

    const document = described.parse(await (await api.get(api.adminPort, '/openapi.json')).json())
    expect(document.servers).toEqual([{ url: `http://localhost:${api.adminPort}` }])
    expect(document.paths['/webhook/call_status']?.servers).toEqual([{ url: publicUrl }])
    expect(JSON.stringify(api.service.log)).toContain(`the console is at http://localhost:${api.adminPort}/console`)
  })

  test('with ADMIN_URL over https, the cookies are for https alone', async () => {
    const api = await startApi({ ADMIN_PORT: '0', ADMIN_URL: 'https://admin.example/' })
    const answer = await fetch(`http://127.0.0.1:${api.adminPort}/console/sign-in`, {
      method: 'POST',
      body: new URLSearchParams({ token: adminToken }),
      headers: { origin: 'https://admin.example' },
      redirect: 'manual',
    })
    expect(answer.status).toBe(303)
    expect(answer.headers.getSetCookie()[0]).toMatch(/^__Host-callbox_session=.*; Secure/)
  })

  test('unset leaves everything on one port', async () => {
    const api = await startApi({})
    expect(api.adminPort).toBe(api.port)
    for (const path of ['/admin/overview', '/metrics', '/openapi.json', '/healthz']) {
      expect([path, await api.statusOf(api.port, path)]).toEqual([path, 200])
    }
    expect(await api.callBack(api.port)).toBe(204)
  })

  test('in use stops the start, and frees PORT', async () => {
    const other = await startLoopbackServer(() => undefined)
    const service = startProcess(['api'], database.url, {
      PORT: '0',
      ADMIN_PORT: String(other.port),
      ADMIN_TOKEN: adminToken,
    })
    await expect(service.ready()).rejects.toThrow(
      `ADMIN_PORT: got ${other.port}; expected a port that is free (EADDRINUSE), or 0 for any`,
    )
    expect(await service.exited()).toBe(1)
    await other.close()
  })
})

test('compose.yaml serves operators on this machine alone, and Prometheus scrapes that port', () => {
  const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')
  const { services } = z
    .object({ services: z.object({ api: z.object({ ports: z.array(z.string()), environment: z.looseObject({}) }) }) })
    .parse(parse(read('compose.yaml'), { merge: true }))
  const { ADMIN_PORT: port } = services.api.environment
  expect(services.api.ports).toContainEqual(expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:.*:${port}$`)))
  const { scrape_configs: jobs } = z
    .object({
      scrape_configs: z.array(z.object({ job_name: z.string(), dns_sd_configs: z.array(z.object({ port: z.int() })) })),
    })
    .parse(parse(read('grafana/prometheus/prometheus.yml')))
  expect(jobs.find(({ job_name: name }) => name === 'callbox-api')?.dns_sd_configs[0]?.port).toBe(port)
})
