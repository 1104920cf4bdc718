import express from 'express'
import type { Config } from '../../config.ts'
import type { OperationParts } from '../operations/operation-parts.ts'
import { Problem } from '../problems.ts'
import { assetRoutes } from './assets.ts'
import { Cookies } from './cookies.ts'
import { overviewPages } from './overview.ts'
import { problemPages } from './problem-pages.ts'
import { sameOriginOnly } from './same-origin.ts'
import { notStored, securityHeaders } from './security-headers.ts'
import { Sessions } from './session.ts'
import { signInRoutes } from './sign-in.ts'
import { genuineOnly, signedInOnly } from './signed-in.ts'

export interface ConsoleParts extends OperationParts {
  config: Pick<Config, 'adminTokens' | 'publicUrl'>
}

/** The console, below `/console`; to be mounted at the root. */
export function consoleRouter(parts: ConsoleParts): express.Router {
  const { config, sealer, log } = parts
  const sessions = new Sessions(sealer, config.adminTokens)
  const cookies = new Cookies(config.publicUrl)
  const router = express.Router()
  router.use(securityHeaders)
  router.use(assetRoutes())
  router.use(notStored)
  router.use(sameOriginOnly(config.publicUrl))
  router.use(express.urlencoded({ extended: false, limit: '256kb', parameterLimit: 500 }))
  router.use(signInRoutes(sessions, cookies, log))
  router.use(signedInOnly(sessions, cookies))
  router.use(genuineOnly(sessions))
  router.use(overviewPages(parts))
  router.use(() => {
    throw new Problem(404, 'the console has no such page')
  })
  router.use(problemPages(log))
  return express.Router().use('/console', router)
}
