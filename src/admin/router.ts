import express from 'express'
import { auditRoutes } from './audit.ts'
import { bearerAuthentication } from './authentication.ts'
import { businessRoutes } from './businesses.ts'
import { callbackRoutes } from './callbacks.ts'
import { callRoutes } from './calls.ts'
import { deliveryRoutes } from './deliveries.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { overviewRoutes } from './overview.ts'
import type { OverviewReader } from './overview-reader.ts'
import { Problem, problemAnswers } from './problems.ts'
import { requeueRoutes } from './requeues.ts'
import { routeRoutes } from './routes.ts'
import type { SignInLimit } from './sign-in-limit.ts'
import { testEventRoutes } from './test-events.ts'
import { utf8BodiesOnly } from './utf8-bodies.ts'

interface AdminParts extends OperationParts {
  signIns: SignInLimit
  overview: OverviewReader
}

/** The admin API, below `/admin`; to be mounted at the root. */
export function adminRouter(parts: AdminParts): express.Router {
  const admin = express.Router()
  admin.use(bearerAuthentication(parts.signIns))
  const bodies = express.Router().use(utf8BodiesOnly, express.json({ limit: '256kb' }))
  // What comes as the body of these has no meaning (RFC 9110, 9.3.1 and 9.3.2), so it is not looked at.
  const bodiless = ['GET', 'HEAD']
  admin.use((request, response, next) => {
    if (bodiless.includes(request.method)) next()
    else bodies(request, response, next)
  })
  admin.use(businessRoutes(parts))
  admin.use(testEventRoutes(parts))
  admin.use(callRoutes(parts))
  admin.use(callbackRoutes(parts.knex))
  admin.use(deliveryRoutes(parts))
  admin.use(requeueRoutes(parts))
  admin.use(routeRoutes(parts))
  admin.use(overviewRoutes(parts.overview))
  admin.use(auditRoutes(parts.knex))
  admin.use(() => {
    throw new Problem(404, 'the admin API has no such path')
  })
  admin.use(problemAnswers(parts.log))
  return express.Router().use('/admin', admin)
}
