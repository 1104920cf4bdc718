import express from 'express'
import type { Knex } from 'knex'
import { listAudit, toAuditEntry } from './audit-records.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readQuery } from './read-request.ts'
import { auditListQuery } from './schemas/audit.ts'

/** `GET /audit`. */
export function auditRoutes(knex: Knex): express.Router {
  const router = express.Router()
  router.get('/audit', async (request, response) => {
    const query = readQuery(request, auditListQuery)
    const rows = await listAudit(knex, query, query.limit + 1)
    response.json(pageOf(rows, query.limit, (row) => encodeCursor(row.place_time, row.id), toAuditEntry))
  })
  router.all('/audit', onlyMethods('GET'))
  return router
}
