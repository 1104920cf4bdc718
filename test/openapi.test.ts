import { Validator } from '@seriousme/openapi-schema-validator'
import type { Request, Router } from 'express'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { z } from 'zod'
import type { ZodOpenApiOperationObject } from 'zod-openapi'
import manifest from '../package.json' with { type: 'json' }
import { operations } from '../src/admin/openapi/document.ts'
import { openApiRouter } from '../src/admin/openapi/router.ts'
import { adminRouter } from '../src/admin/router.ts'
import { callbackRouter } from '../src/ingress/callback-router.ts'
import { healthRouter, metricsRouter } from '../src/telemetry/health.ts'
import { startAdminApi } from './helpers/admin-api.ts'
import { createTestDatabase, type TestDatabase } from './helpers/database.ts'
import { judge, type Operation } from './helpers/openapi.ts'
import { startProcess } from './helpers/processes.ts'
import { account } from './helpers/twilio.ts'

type Reading = 'path' | 'query' | 'body'
const read = vi.hoisted(() => new Map<string, unknown>())

// What the handlers read requests with is noted, and then read by it as ever.
vi.mock('../src/admin/read-request.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../src/admin/read-request.ts')>()
  type Read = typeof original.readQuery
  const noted = (name: Reading, readBy: Read): Read =>
    ((request: Request, schema: z.ZodObject) => {
      read.set(`${request.method} ${templateOf(request.baseUrl + request.route.path)} ${name}`, schema)
      return readBy(request, schema)
    }) as Read
  return {
    ...original,
    readPath: noted('path', original.readPath),
    readQuery: noted('query', original.readQuery),
    readBody: noted('body', original.readBody),
    readOptionalBody: noted('body', original.readOptionalBody),
  }
})

/** As in the document: `/businesses/{id}` for express's `/businesses/:id`. */
function templateOf(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}')
}

const all: { name: string; path: string; method: string; operation: Operation }[] = Object.entries(judge.paths).flatMap(
  ([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...{ name: `${method.toUpperCase()} ${path}`, path, method, operation },
    })),
)
const webhooks = Object.values(judge.webhooks).flatMap((methods) => Object.values(methods))

let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase()
})

describe('the document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    expect(await validator.validate({ ...structuredClone(judge.document) })).toEqual({ valid: true })
    expect(validator.version).toBe('3.1')
  })

  test('names, sums up and tags every operation, and describes every parameter', () => {
    const tags = judge.document.tags?.map(({ name }) => name) ?? []
    const described = [...all.map(({ operation }) => operation), ...webhooks]
    for (const operation of described) {
      const { operationId, summary, parameters = [] } = operation
      expect([operationId, summary]).toEqual([expect.stringMatching(/^[a-z]\w+$/), expect.stringMatching(/\w.*[^.]$/)])
      expect(tags).toEqual(expect.arrayContaining(operation.tags))
      for (const parameter of parameters) expect(parameter).toHaveProperty('description', expect.any(String))
    }
    expect(new Set(described.map(({ operationId }) => operationId)).size).toBe(described.length)
    expect(tags.filter((tag) => !described.some((operation) => operation.tags.includes(tag)))).toEqual([])
  })

  test('has no example that its own schemas refuse', () => {
    let examples = 0
    const look = (at: unknown): void => {
      if (typeof at !== 'object' || at === null) return
      const { examples: given, schema, example, ...rest } = at as Record<string, unknown>
      for (const value of Array.isArray(given) ? given : []) {
        examples++
        expect([value, judge.mismatch(rest, value)]).toEqual([value, null])
      }
      if (example !== undefined) {
        examples++
        expect([example, judge.mismatch(schema as Record<string, unknown>, example)]).toEqual([example, null])
      }
      for (const inner of [schema, ...Object.values(rest)]) look(inner)
    }
    look(judge.document)
    expect(examples).toBeGreaterThan(50)
  })

  test('asks for a token below /admin, for the signature of Twilio, and for nothing else', () => {
    const security = (operation: Operation) => (operation as { security?: unknown }).security
    for (const { path, operation } of all) {
      const expected = path.startsWith('/admin/')
        ? undefined
        : path.startsWith('/webhook/')
          ? [{ twilioSignature: [] }]
          : []
      expect([path, security(operation)]).toEqual([path, expected])
    }
    expect(judge.document.security).toEqual([{ bearer: [] }])
    expect(webhooks.map(security)).toEqual(webhooks.map(() => []))
  })
})

describe('the document and the code', () => {
  test('every route is an operation, and every operation a route', () => {
    const unused = {} as never
    const routes = [
      ...routesOf(
        adminRouter({
          knex: unused,
          sealer: unused,
          queue: unused,
          hints: unused,
          log: unused,
          signIns: unused,
          overview: unused,
        }),
        '/admin',
      ),
      ...routesOf(callbackRouter(unused), ''),
      ...routesOf(
        healthRouter([], () => undefined, { checks: [], detail: () => null }),
        '',
      ),
      ...routesOf(metricsRouter(unused), ''),
      ...routesOf(openApiRouter('http://localhost', 'http://localhost'), ''),
    ]
    expect(routes.toSorted()).toEqual(all.map(({ name }) => name).toSorted())
  })

  test('requests are read with the very schemas that the document is made from', async () => {
    const api = await startAdminApi(database)
    for (const { path, method, operation } of all.filter((one) => one.path.startsWith('/admin/'))) {
      read.clear()
      const target = path.replaceAll(/\{(\w+)\}/g, (_, name) => exampleOf(operation, name))
      const body = operation.requestBody?.content['application/json']?.example ?? { direction: 'inbound' }
      await api.send(method.toUpperCase(), target, method === 'get' ? undefined : body)
      const { requestParams, requestBody } =
        (operations[path] as Record<string, ZodOpenApiOperationObject>)[method] ?? {}
      const described = {
        path: requestParams?.path,
        query: requestParams?.query,
        body: requestBody?.content['application/json']?.schema,
      }
      for (const [part, schema] of Object.entries(described)) {
        const name = `${method.toUpperCase()} ${path} ${part}`
        expect([name, read.get(name) === schema]).toEqual([name, true])
      }
    }
  })
})

test('the service gives it to everybody, and what else it tells without a token is described', async () => {
  const publicUrl = 'https://callbox.example'
  const service = startProcess(['api'], database.url, {
    ...{ PORT: '0', ADMIN_TOKEN: 'the-operator-token', PUBLIC_URL: publicUrl, TWILIO_ACCOUNT_SID: account.accountSid },
  })
  const { port } = await service.untilLogged('service.listening')
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
    const { status } = response
    const body = await response.text()
    const complaint = judge.complaintAbout({
      ...{ method: 'GET', path, status, body },
      header: (name) => response.headers.get(name),
    })
    expect(complaint).toBeNull()
    return { status, headers: response.headers, body }
  }
  await get('/admin/overview')
  await service.ready()
  const { status, headers, body } = await get('/openapi.json')
  expect(status).toBe(200)
  expect(headers.get('cache-control')).toBe('public, no-cache')
  expect(JSON.parse(body)).toEqual({
    ...JSON.parse(JSON.stringify(judge.document)),
    info: { ...judge.document.info, version: manifest.version },
    servers: [{ url: publicUrl }],
  })
  const again = await get('/openapi.json', {
    // Without it, fetch asks for a fresh copy.
    ...{ 'cache-control': 'max-age=0', 'if-none-match': headers.get('etag') ?? '' },
  })
  expect(again).toMatchObject({ status: 304, body: '' })
  for (const path of ['/healthz', '/readyz', '/metrics']) expect((await get(path)).status).toBe(200)
})

interface Layer {
  route?: { path: string; methods: Record<string, boolean> }
  handle: { stack?: Layer[] }
}

/** Such as `GET /admin/businesses/{id}`; what refuses all other methods of a path is none. */
const routesOf = (router: Router, prefix: string): string[] => walk(router.stack as unknown as Layer[], prefix)

function walk(layers: Layer[], prefix: string): string[] {
  return layers.flatMap(({ route, handle }) => {
    if (route === undefined) return walk(handle.stack ?? [], prefix)
    const methods = Object.keys(route.methods).filter((method) => method !== '_all')
    return methods.map((method) => `${method.toUpperCase()} ${prefix}${templateOf(route.path)}`)
  })
}

function exampleOf({ parameters = [] }: Operation, name: string): string {
  const { schema } = parameters.find((parameter) => parameter.name === name) ?? {}
  const { examples, enum: values } = schema as { examples?: string[]; enum?: string[] }
  return (examples ?? values)?.[0] ?? ''
}
