import express from 'express'
import type { Knex } from 'knex'
import { listCallbacks, toCallback } from './callback-records.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readQuery } from './read-request.ts'
import { callbackListQuery } from './schemas/callback.ts'

/** `GET /callbacks`. */
export function callbackRoutes(knex: Knex): express.Router {
  const router = express.Router()
  router.get('/callbacks', async (request, response) => {
    const { matched, limit, cursor } = readQuery(request, callbackListQuery)
    const rows = await listCallbacks(knex, matched, limit + 1, cursor)
    response.json(pageOf(rows, limit, (row) => encodeCursor(row.id), toCallback))
  })
  router.all('/callbacks', onlyMethods('GET'))
  return router
}
