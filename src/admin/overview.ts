import express from 'express'
import type { OverviewReader } from './overview-reader.ts'
import { onlyMethods } from './problems.ts'

/** `GET /overview`. */
export function overviewRoutes(overview: OverviewReader): express.Router {
  const router = express.Router()
  router.get('/overview', async (_request, response) => {
    response.json(await overview.read())
  })
  router.all('/overview', onlyMethods('GET'))
  return router
}
