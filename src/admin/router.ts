import express from 'express'
import type { Knex } from 'knex'
import type { RecordingSender } from '../calls/recording-queue.ts'
import type { Config } from '../config.ts'
import type { HintSender } from '../database/hints.ts'
import type { Sealer } from '../database/sealing.ts'
import type { Logger } from '../telemetry/logger.ts'
import { bearerAuthentication } from './authentication.ts'
import { businessRoutes } from './businesses.ts'
import { callbackRoutes } from './callbacks.ts'
import { callRoutes } from './calls.ts'
import { deliveryRoutes } from './deliveries.ts'
import { Problem, problemAnswers } from './problems.ts'
import { routeRoutes } from './routes.ts'

interface AdminParts {
  config: Pick<Config, 'adminTokens'>
  knex: Knex
  sealer: Sealer
  queue: RecordingSender
  hints: HintSender
  log: Logger
}

/** The admin API, below `/admin`; to be mounted at the root. */
export function adminRouter({ config, knex, sealer, queue, hints, log }: AdminParts): express.Router {
  const admin = express.Router()
  admin.use(bearerAuthentication(config.adminTokens))
  admin.use(express.json({ limit: '256kb' }))
  admin.use(businessRoutes(knex, sealer, hints, log))
  admin.use(callRoutes(knex, queue, log))
  admin.use(callbackRoutes(knex))
  admin.use(deliveryRoutes(knex, hints, log))
  admin.use(routeRoutes(knex, hints, log))
  admin.use(() => {
    throw new Problem(404, 'the admin API has no such path')
  })
  admin.use(problemAnswers(log))
  return express.Router().use('/admin', admin)
}
