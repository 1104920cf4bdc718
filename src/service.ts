import { hostname } from 'node:os'
import express, { type RequestHandler } from 'express'
import { trustedProxies } from './admin/trusted-proxies.ts'
import { type Config, ConfigError, type Role, requireSecrets } from './config.ts'
import { HintSender } from './database/hints.ts'
import { createKnex } from './database/knex.ts'
import { type OpenedDatabase, openDatabase } from './database/open.ts'
import { createPool } from './database/pool.ts'
import { DatabaseReadiness } from './database/readiness.ts'
import { missingMigrations } from './database/schema-version.ts'
import { Sealer } from './database/sealing.ts'
import { checkSecretsKey } from './database/secrets-key.ts'
import { describeTrouble, explainUnusable, needsOperator } from './database/unusable.ts'
import { healthRouter, type ReadinessCheck } from './telemetry/health.ts'
import { listenHttp } from './telemetry/http-listener.ts'
import type { Logger } from './telemetry/logger.ts'
import { createMetrics } from './telemetry/metrics.ts'

export interface Service {
  port: number
  databaseUrl: string
  config: Config
  /** Resolves when all roles run. */
  started: Promise<void>
  /** Rejects when the service cannot go on. */
  failed: Promise<never>
  stop(): Promise<void>
}

const schemaPollMs = 1_000
/** Whoever asked `/readyz` within this time sends requests by it, and will ask again; in milliseconds. */
const routedMs = 60_000
/** How long a stopping API answers on, not ready, so that they have asked and send it nothing more; in milliseconds. */
const unreadyMs = 5_000

/**
 * Starts the chosen roles in this process. It listens at once, so that it can say that it is not ready, and starts the
 * roles when the schema is the one it knows.
 *
 * @throws {ConfigError} for settings that these roles cannot run with.
 */
export async function startService(given: Config, roles: readonly Role[], log: Logger): Promise<Service> {
  const stops: (() => Promise<void>)[] = []
  const stopping = new AbortController()
  const stop = async (): Promise<void> => {
    stopping.abort()
    const failures: unknown[] = []
    for (const stopOne of stops.splice(0).reverse()) await stopOne().catch((error) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }
  try {
    const opened = await openDatabase(given, roles.length === 3)
    if (opened.embedded) stops.push(opened.embedded.stop)
    return await startRoles(given, opened, roles, log, stops, stopping.signal, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

async function startRoles(
  given: Config,
  opened: OpenedDatabase,
  roles: readonly Role[],
  log: Logger,
  stops: (() => Promise<void>)[],
  stopping: AbortSignal,
  stop: () => Promise<void>,
): Promise<Service> {
  let config: Config = { ...given, adminTokens: opened.adminTokens, secretsKey: opened.secretsKey }
  requireSecrets(config, roles)
  const databaseUrl = opened.url
  const failure = Promise.withResolvers<never>()
  failure.promise.catch(() => undefined)
  opened.embedded?.ended.then(() => {
    if (!stopping.aborted) failure.reject(new Error('the embedded PostgreSQL ended by itself'))
  })

  const metrics = createMetrics()
  const name = `callbox ${roles.join('+')}`
  const pool = createPool(databaseUrl, config.databaseSchema, name, 10, log)
  const knex = createKnex(databaseUrl, config.databaseSchema, name, 20, { log })
  stops.push(
    () => pool.end(),
    () => knex.destroy(),
  )

  let running = false
  let readyAskedAt = Number.NEGATIVE_INFINITY
  const database = new DatabaseReadiness(knex)
  const checks: ReadinessCheck[] = [
    () => database.check(),
    async () => (running ? null : `starting: ${roles.join(', ')}`),
    async () => (stopping.aborted ? `stopping: ${roles.join(', ')}` : null),
  ]
  let api: RequestHandler = (_request, response) => {
    const detail = 'this process has just started and is not ready; try again'
    response.status(503).set('retry-after', '1').type('application/problem+json')
    response.send(JSON.stringify({ type: 'about:blank', title: 'Service Unavailable', status: 503, detail }))
  }
  const app = express().disable('x-powered-by').disable('etag').set('trust proxy', trustedProxies)
  app.use(
    healthRouter(checks, metrics, () => {
      readyAskedAt = performance.now()
    }),
  )
  if (roles.includes('api')) app.use((request, response, next) => api(request, response, next))
  const [variable, wantedPort] = roles.includes('api') ? ['PORT', config.port] : ['METRICS_PORT', config.metricsPort]
  const listener = await listenHttp(app, wantedPort).catch((error: unknown) => {
    throw new ConfigError(
      `${variable}: got ${wantedPort}; takes a port that is free (${describePortError(error)}), or 0 for any`,
    )
  })
  stops.push(listener.stop)
  /** The API's callers are told to go elsewhere before they are no longer heard. */
  const drainApi = async (): Promise<void> => {
    listener.shedConnections()
    if (performance.now() - readyAskedAt < routedMs) await new Promise((resolve) => setTimeout(resolve, unreadyMs))
    await listener.stop()
  }
  // PORT=0 and no PUBLIC_URL: the address is known only now.
  config = { ...config, publicUrl: config.publicUrl.replace(/^(http:\/\/localhost):0$/, `$1:${listener.port}`) }
  log.info({ event: 'service.listening', roles, port: listener.port }, `listening on port ${listener.port}`)

  /** A part that has started after the stop began is nobody else's to stop. */
  const keep = async (stopPart: () => Promise<void>): Promise<void> => {
    if (stopping.aborted) await stopPart()
    else stops.push(stopPart)
  }
  const run = async (): Promise<void> => {
    await waitForSchema(() => missingMigrations(knex), stopping, log)
    if (stopping.aborted) return
    const sealer = config.secretsKey && new Sealer(config.secretsKey, config.secretsKeyPrevious)
    if (sealer) await checkSecretsKey(knex, sealer)
    const hints = new HintSender(pool, config.databaseSchema)
    stops.push(() => hints.flush())
    if (sealer && roles.includes('api')) {
      const { startApi } = await import('./api.ts')
      const started = await startApi({ config, databaseUrl, knex, sealer, hints, log, metrics })
      await keep(started.stop)
      api = started.router
      stops.push(drainApi)
    }
    if (roles.includes('worker')) {
      const { startPipeline } = await import('./pipeline/pipeline.ts')
      const pipeline = await startPipeline({ config, databaseUrl, knex, hints, log, metrics })
      await keep(() => pipeline.stop())
      checks.push(() => pipeline.ready())
    }
    if (sealer && roles.includes('dispatcher')) {
      const { startDispatcher } = await import('./dispatcher/dispatcher.ts')
      const directUrl = config.databaseDirectUrl ?? databaseUrl
      const dispatcher = startDispatcher({ config, databaseUrl, directUrl, sealer, log, metrics, host: hostname() })
      await keep(() => dispatcher.stop())
      checks.push(() => dispatcher.ready())
    }
    running = true
    log.info({ event: 'service.ready', roles }, `ready: ${roles.join(', ')}`)
  }
  const started = run()
  started.catch(failure.reject)
  return { port: listener.port, databaseUrl, config, started, failed: failure.promise, stop }
}

const describePortError = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

/** Waits until `missing` says nothing; the reason is logged when it changes. */
async function waitForSchema(missing: () => Promise<string | null>, stopping: AbortSignal, log: Logger): Promise<void> {
  let said = ''
  while (!stopping.aborted) {
    const reason = await missing().catch((error: unknown) => {
      const explained = explainUnusable(error, 'DATABASE_URL')
      if (needsOperator(error)) throw explained
      return explained instanceof ConfigError ? explained.message : describeTrouble(error)
    })
    if (reason === null) return
    if (reason !== said) log.warn({ event: 'service.waiting', reason }, `waiting: ${reason}`)
    said = reason
    await new Promise((resolve) => setTimeout(resolve, schemaPollMs))
  }
}
