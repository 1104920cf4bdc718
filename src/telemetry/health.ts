import express from 'express'
import type { AliveAnswer, ReadinessAnswer } from './health-answers.ts'
import type { Metrics } from './metrics.ts'

/** Says what is not ready, or `null`. */
export type ReadinessCheck = () => Promise<string | null>

/**
 * `/healthz` (alive) and `/readyz` (fit for work; 503 with the reasons), the same in every role.
 *
 * @param onReadyAsked called for each request of `/readyz`.
 */
export function healthRouter(checks: readonly ReadinessCheck[], onReadyAsked: () => void): express.Router {
  const router = express.Router()
  router.get('/healthz', (_request, response) => {
    const answer: AliveAnswer = { status: 'alive' }
    response.json(answer)
  })
  router.get('/readyz', async (_request, response) => {
    onReadyAsked()
    const reasons = await Promise.all(checks.map((check) => check().catch(() => 'the database does not answer')))
    const missing = reasons.filter((reason) => reason !== null)
    const answer: ReadinessAnswer =
      missing.length === 0 ? { status: 'ready' } : { status: 'not ready', reasons: missing }
    response.status(missing.length === 0 ? 200 : 503).json(answer)
  })
  return router
}

/** `/metrics` of this process. */
export function metricsRouter(metrics: Metrics): express.Router {
  return express.Router().get('/metrics', async (_request, response) => {
    const { registry } = metrics
    response.type(registry.contentType).send(await registry.metrics())
  })
}
