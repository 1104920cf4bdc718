import express from 'express'
import type { AliveAnswer, CallbacksAnswer, ReadinessAnswer } from './health-answers.ts'
import type { Metrics } from './metrics.ts'

/** Says what is not ready, or `null`. */
export type ReadinessCheck = () => Promise<string | null>

/** What an API process adds to its readiness. */
export interface CallbackReadiness {
  /** Whether Twilio's callbacks are accepted, be it onto disk. */
  checks: readonly ReadinessCheck[]
  /** `null`: there is nothing to say. */
  detail(): Omit<CallbacksAnswer, 'taken'> | null
}

/**
 * `/healthz` (alive) and `/readyz` (able to work; 503 with the reasons), the same in every role.
 *
 * An API also has `/readyz/callbacks`. While the database is away `/readyz` is 503, since nothing else works, and this one is
 * 200 as long as callbacks are kept on disk: a load balancer that polls it does not take the last API out of rotation.
 *
 * @param onReadyAsked called for each request of either.
 * @param callbacks `null`: not an API.
 */
export function healthRouter(
  checks: readonly ReadinessCheck[],
  onReadyAsked: () => void,
  callbacks: CallbackReadiness | null = null,
): express.Router {
  const router = express.Router()
  router.get('/healthz', (_request, response) => {
    const answer: AliveAnswer = { status: 'alive' }
    response.json(answer)
  })
  router.get('/readyz', async (_request, response) => {
    onReadyAsked()
    const detail = callbacks?.detail() ?? null
    const [missing, notTaken] = await Promise.all([
      missingOf(checks),
      detail && callbacks ? missingOf(callbacks.checks) : [],
    ])
    answer(response, missing, detail && { taken: notTaken.length === 0, ...detail })
  })
  if (callbacks === null) return router
  router.get('/readyz/callbacks', async (_request, response) => {
    onReadyAsked()
    const detail = callbacks.detail()
    const missing = await missingOf(callbacks.checks)
    answer(response, missing, detail && { taken: missing.length === 0, ...detail })
  })
  return router
}

async function missingOf(checks: readonly ReadinessCheck[]): Promise<string[]> {
  const reasons = await Promise.all(checks.map((check) => check().catch(() => 'the database does not answer')))
  return reasons.filter((reason) => reason !== null)
}

function answer(response: express.Response, missing: string[], callbacks: CallbacksAnswer | null): void {
  const readiness: ReadinessAnswer =
    missing.length === 0 ? { status: 'ready' } : { status: 'not ready', reasons: missing }
  response.status(missing.length === 0 ? 200 : 503).json({ ...readiness, ...(callbacks && { callbacks }) })
}

/** `/metrics` of this process. */
export function metricsRouter(metrics: Metrics): express.Router {
  return express.Router().get('/metrics', async (_request, response) => {
    const { registry } = metrics
    response.type(registry.contentType).send(await registry.metrics())
  })
}
