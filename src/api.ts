import express from 'express'
import type { Knex } from 'knex'
import { callWorkMetrics } from './admin/call-work-metrics.ts'
import { createConsole } from './admin/console/console.ts'
import { fleetMetrics } from './admin/fleet-metrics.ts'
import { openApiRouter } from './admin/openapi/router.ts'
import { OverviewReader } from './admin/overview-reader.ts'
import { noSuchPath } from './admin/problems.ts'
import { countRefusedSignIns } from './admin/refused-sign-ins.ts'
import { RequeueRunner } from './admin/requeue-runner.ts'
import { startRetention } from './admin/retention.ts'
import { adminRouter } from './admin/router.ts'
import { SignInLimit } from './admin/sign-in-limit.ts'
import { RecordingQueue } from './calls/recording-queue.ts'
import type { Config } from './config.ts'
import type { HintSender } from './database/hints.ts'
import type { Sealer } from './database/sealing.ts'
import type { CallbackIntake } from './ingress/callback-intake.ts'
import { createIngress } from './ingress/ingress.ts'
import { startAccounting } from './maintenance/accounting.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

interface ApiParts {
  config: Config
  databaseUrl: string
  knex: Knex
  sealer: Sealer
  hints: HintSender
  log: Logger
  metrics: Metrics
  intake: CallbackIntake
}

export interface StartedApi {
  /** What Twilio calls. */
  callbacks: express.Router
  /** The admin API, the console and OpenAPI; it answers every other path with 404. */
  admin: express.Router
  stop(): Promise<void>
}

/** The role `api`: Twilio's callbacks, the admin API, the console, the fleet's metrics and retention. */
export async function startApi(parts: ApiParts): Promise<StartedApi> {
  const queue = new RecordingQueue(parts.databaseUrl, parts.config.databaseSchema, parts.log)
  await queue.start()
  const ingress = createIngress({ ...parts, queue })
  fleetMetrics(parts.knex, parts.metrics)
  callWorkMetrics(parts.knex, parts.metrics)
  const retention = startRetention(parts)
  const accounting = startAccounting(parts)
  const requeues = new RequeueRunner(parts)
  requeues.start()
  const overview = new OverviewReader(parts.knex)
  overview.start()
  ingress.start()
  const { adminTokens, adminUrl, publicUrl } = parts.config
  const admin = express.Router()
  admin.use(openApiRouter(adminUrl, publicUrl))
  admin.use(countRefusedSignIns(parts.metrics))
  const signIns = new SignInLimit(adminTokens, parts.log)
  admin.use(adminRouter({ ...parts, queue, signIns, overview }))
  const consoleConfig = { adminTokens, publicUrl: adminUrl }
  const adminConsole = createConsole({ ...parts, config: consoleConfig, queue, signIns, overview })
  admin.use(adminConsole.router)
  admin.use(noSuchPath(parts.log))
  return {
    callbacks: express.Router().use(ingress.router, ingress.strays),
    admin,
    async stop() {
      adminConsole.stop()
      overview.stop()
      await requeues.stop()
      await retention.stop()
      await accounting.stop()
      await ingress.stop()
      await queue.stop()
    },
  }
}
