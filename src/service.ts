import { hostname } from 'node:os'
import type { Knex } from 'knex'
import { type Config, ConfigError, type Role, requireSecrets } from './config.ts'
import { HintSender } from './database/hints.ts'
import { createKnex } from './database/knex.ts'
import { type OpenedDatabase, openDatabase } from './database/open.ts'
import { createPool } from './database/pool.ts'
import { warnOfPooledDefaults } from './database/pooled-defaults.ts'
import { DatabaseReadiness, whatIsMissing } from './database/readiness.ts'
import { Sealer } from './database/sealing.ts'
import { checkSecretsKey } from './database/secrets-key.ts'
import { describeTrouble, explainUnusable, needsOperator } from './database/unusable.ts'
import { openPorts } from './http/service-ports.ts'
import type { CallbackIntake } from './ingress/callback-intake.ts'
import { type CallbackReadiness, healthRouter, metricsRouter, type ReadinessCheck } from './telemetry/health.ts'
import type { Logger } from './telemetry/logger.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'

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
  const intake = roles.includes('api') ? await startIntake(config, knex, log, metrics) : null
  if (intake) stops.push(() => intake.stop())
  const onReadyAsked = (): void => {
    readyAskedAt = performance.now()
  }
  const health = healthRouter(checks, onReadyAsked, intake && callbackReadiness(intake, database, stopping))
  const handlers = { health, metrics: metricsRouter(metrics) }
  const ports = await openPorts(config, roles.includes('api'), handlers, log)
  /** Clients of the API see that it is not ready, and go elsewhere, before it stops listening. */
  const drain = async (): Promise<void> => {
    ports.shedConnections()
    if (performance.now() - readyAskedAt < routedMs) await new Promise((resolve) => setTimeout(resolve, unreadyMs))
    await ports.stop()
  }
  let draining: Promise<void> | null = null
  const drainApi = (): Promise<void> => {
    draining ??= drain()
    return draining
  }
  stops.push(intake ? drainApi : ports.stop)
  const { port, adminPort } = ports
  // With port 0 and no address given, the address is known only now.
  const withPort = (url: string, actual: number): string => url.replace(/^(http:\/\/localhost):0$/, `$1:${actual}`)
  config = {
    ...config,
    publicUrl: withPort(config.publicUrl, port),
    adminUrl: withPort(config.adminUrl, adminPort),
  }
  const operators = port === adminPort ? '' : `, and on port ${adminPort} for operators`
  log.info({ event: 'service.listening', roles, port, adminPort }, `listening on port ${port}${operators}`)

  if (intake) {
    const { callbackRouter } = await import('./ingress/callback-router.ts')
    ports.serveCallbacks(callbackRouter({ config, intake, log, metrics }))
  }

  /** A part that started after the stop began must be stopped here. */
  const keep = async (stopPart: () => Promise<void>): Promise<void> => {
    if (stopping.aborted) await stopPart()
    else stops.push(stopPart)
  }
  const run = async (): Promise<void> => {
    await waitForSchema(() => whatIsMissing(knex), stopping, log)
    if (stopping.aborted) return
    await warnOfPooledDefaults(knex, log)
    const sealer = config.secretsKey && new Sealer(config.secretsKey, config.secretsKeyPrevious)
    if (sealer) await checkSecretsKey(knex, sealer)
    const hints = new HintSender(pool, config.databaseSchema)
    stops.push(() => hints.flush())
    if (sealer && intake) {
      const { startApi } = await import('./api.ts')
      const started = await startApi({ config, databaseUrl, knex, sealer, hints, log, metrics, intake })
      await keep(started.stop)
      ports.serveApi(started)
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
  return { port, databaseUrl, config, started, failed: failure.promise, stop }
}

/** Accepts callbacks and replays those on disk right from the start: the database may be away when an API starts. */
async function startIntake(config: Config, knex: Knex, log: Logger, metrics: Metrics): Promise<CallbackIntake> {
  const { CallbackIntake } = await import('./ingress/callback-intake.ts')
  const { spoolMetrics } = await import('./ingress/spool-metrics.ts')
  const intake = new CallbackIntake({ home: config.home, knex, log })
  spoolMetrics(intake, metrics)
  await intake.start()
  return intake
}

function callbackReadiness(
  intake: CallbackIntake,
  database: DatabaseReadiness,
  stopping: AbortSignal,
): CallbackReadiness {
  return {
    checks: [
      async () => (intake.state.unusable === null ? null : await database.check()),
      async () => (stopping.aborted ? 'stopping: api' : null),
    ],
    detail() {
      const { waiting, oldestSeconds, damaged, unusable } = intake.state
      if (waiting === 0 && damaged === 0 && unusable === null) return null
      const oldest = Math.round(oldestSeconds * 10) / 10
      return { waiting, oldest_seconds: oldest, damaged, ...(unusable !== null && { disk: unusable }) }
    },
  }
}

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
