import express from 'express'
import { operatorOf } from './authentication.ts'
import { callNotFound, findCall, listCalls, toCall, toListedCall } from './call-records.ts'
import { changeCall } from './operations/change-call.ts'
import type { OperationParts } from './operations/operation-parts.ts'
import { reprocessCall } from './operations/reprocess-call.ts'
import { pageOfListing } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readBody, readPath, readQuery } from './read-request.ts'
import { callDetailsChange, callListQuery, callPath } from './schemas/call.ts'

/** `PATCH`, `GET /calls/{call_sid}`, `POST /calls/{call_sid}/reprocess` and `GET /calls`. */
export function callRoutes(parts: OperationParts): express.Router {
  const { knex } = parts
  const router = express.Router()

  router.get('/calls', async (request, response) => {
    const query = readQuery(request, callListQuery)
    response.json(pageOfListing(await listCalls(knex, query), toListedCall))
  })
  router.all('/calls', onlyMethods('GET'))

  router.get('/calls/:call_sid', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    const row = await findCall(knex, callSid)
    if (row === null) throw callNotFound(callSid)
    response.json(toCall(row))
  })

  router.patch('/calls/:call_sid', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    const change = readBody(request, callDetailsChange)
    response.json(await changeCall(parts, operatorOf(response), callSid, change))
  })
  router.all('/calls/:call_sid', onlyMethods('GET, PATCH'))

  router.post('/calls/:call_sid/reprocess', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    response.status(202).json(await reprocessCall(parts, operatorOf(response), callSid))
  })
  router.all('/calls/:call_sid/reprocess', onlyMethods('POST'))
  return router
}
