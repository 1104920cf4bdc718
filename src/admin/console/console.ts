import express from 'express'
import type { Config } from '../../config.ts'
import type { OperationParts } from '../operations/operation-parts.ts'
import type { OverviewReader } from '../overview-reader.ts'
import { Problem } from '../problems.ts'
import type { SignInLimit } from '../sign-in-limit.ts'
import { utf8BodiesOnly } from '../utf8-bodies.ts'
import { assetRoutes } from './assets.ts'
import { auditPages } from './audit.ts'
import { businessPage } from './businesses/business.ts'
import { businessPages } from './businesses/businesses.ts'
import { testEventPages } from './businesses/test-event.ts'
import { callbackPages } from './callbacks.ts'
import { callPage } from './calls/call.ts'
import { callPages } from './calls/calls.ts'
import { Cookies } from './cookies.ts'
import { deliveryPages } from './deliveries/deliveries.ts'
import { deliveryPage } from './deliveries/delivery.ts'
import { overviewPages } from './overview.ts'
import { problemPages } from './problem-pages.ts'
import { requeuePage } from './requeues/requeue.ts'
import { requeuePages } from './requeues/requeues.ts'
import { routePages } from './routes.ts'
import { sameOriginOnly } from './same-origin.ts'
import { notStored, securityHeaders } from './security-headers.ts'
import { Sessions } from './session.ts'
import { signInRoutes } from './sign-in.ts'
import { genuineOnly, signedInOnly } from './signed-in.ts'

export interface ConsoleParts extends OperationParts {
  config: Pick<Config, 'adminTokens' | 'publicUrl'>
  signIns: SignInLimit
  overview: OverviewReader
}

/** The console, below `/console`; its router is to be mounted at the root. `stop` ends what streams. */
export function createConsole(parts: ConsoleParts): { router: express.Router; stop(): void } {
  const { config, sealer, log } = parts
  const sessions = new Sessions(sealer, config.adminTokens)
  const cookies = new Cookies(config.publicUrl)
  const overview = overviewPages(parts.overview, log)
  const router = express.Router()
  router.use(securityHeaders)
  router.use(assetRoutes())
  router.use(notStored)
  router.use(sameOriginOnly(config.publicUrl))
  router.use(utf8BodiesOnly)
  router.use(express.urlencoded({ extended: false, limit: '256kb', parameterLimit: 500 }))
  router.use(signInRoutes(parts.signIns, sessions, cookies, log))
  router.use(signedInOnly(sessions, cookies))
  router.use(genuineOnly(sessions))
  router.use(overview.router)
  router.use(deliveryPages(parts))
  router.use(deliveryPage(parts))
  router.use(requeuePages(parts))
  router.use(requeuePage(parts))
  router.use(routePages(parts))
  router.use(businessPages(parts))
  router.use(businessPage(parts))
  router.use(testEventPages(parts))
  router.use(callPages(parts))
  router.use(callPage(parts))
  router.use(callbackPages(parts))
  router.use(auditPages(parts))
  router.use(() => {
    throw new Problem(404, 'the console has no such page')
  })
  router.use(problemPages(log))
  return { router: express.Router().use('/console', router), stop: () => overview.stop() }
}
