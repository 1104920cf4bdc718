import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { duration, readConfig } from '../src/config.ts'
import { startLoopbackServer } from '../src/demo/loopback-server.ts'

const service = z.object({
  command: z.array(z.string()).optional(),
  volumes: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.array(z.string()).optional() }),
  stop_grace_period: duration.optional(),
  deploy: z.object({ replicas: z.int() }).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
})
const pathOf = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url))
const text = readFileSync(pathOf('compose.yaml'), 'utf8')
const { services } = z.object({ services: z.record(z.string(), service) }).parse(parse(text, { merge: true }))
const roles = ['api', 'worker', 'dispatcher']
const config = readConfig({})

/** What the service's health check ends with when its process answers `/readyz` with this status; `null`: not at all. */
async function healthOf(name: string, status: number | null): Promise<number> {
  const server = await startLoopbackServer((request, response) => {
    response.writeHead(request.url === '/readyz' ? (status ?? 0) : 404).end()
  })
  onTestFinished(() => server.close())
  if (status === null) await server.close()
  const [kind, command = '', ...words] = services[name]?.healthcheck.test ?? []
  expect([kind, command]).toEqual(['CMD', 'node'])
  const port = name === 'api' ? config.port : config.metricsPort
  const child = spawn(
    process.execPath,
    words.map((word) => word.replace(`:${port}/`, `:${server.port}/`)),
  )
  const [code] = await once(child, 'exit')
  return code
}

describe.for(roles)('%s', (name) => {
  test('is healthy when it is ready, and only then', async () => {
    expect(await healthOf(name, 200)).toBe(0)
    expect(await healthOf(name, 503)).toBe(1)
    expect(await healthOf(name, null)).toBe(1)
  })

  test('starts when the database is there and migrated', () => {
    expect(services[name]?.command).toEqual(['start', name])
    expect(services[name]?.depends_on).toMatchObject({
      postgres: { condition: 'service_healthy' },
      migrate: { condition: 'service_completed_successfully' },
    })
  })
})

test('three dispatchers, with time to end what is in flight', () => {
  expect(services['dispatcher']?.deploy?.replicas).toBe(3)
  expect(services['dispatcher']?.stop_grace_period).toBeGreaterThanOrEqual(config.webhook.timeoutMs + 15_000)
})

test('.env.example names every variable that the file takes, and no other', () => {
  const taken = [...text.matchAll(/\$\{([A-Z0-9_]+)/g)].map(([, name]) => name)
  const named = [...readFileSync(pathOf('.env.example'), 'utf8').matchAll(/^#?([A-Z0-9_]+)=/gm)].map(([, name]) => name)
  expect(new Set(named)).toEqual(new Set(taken))
})

test('what it mounts from here is here', () => {
  const mounted = Object.values(services).flatMap(({ volumes }) => volumes.map((volume) => volume.split(':')[0] ?? ''))
  for (const path of mounted.filter((source) => source.startsWith('.')))
    expect(existsSync(pathOf(path)), path).toBe(true)
})
