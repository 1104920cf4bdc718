import express from 'express'
import type { Knex } from 'knex'
import type { RecordingSender } from '../calls/recording-queue.ts'
import { reprocess } from '../calls/reprocess.ts'
import type { Logger } from '../telemetry/logger.ts'
import { operatorOf } from './authentication.ts'
import { changeCallDetails } from './call-details.ts'
import { findCall, listCalls, toCall, toListedCall } from './call-records.ts'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods, Problem } from './problems.ts'
import { readBody, readPath, readQuery } from './read-request.ts'
import { callDetailsChange, callListQuery, callPath } from './schemas/call.ts'

/** `PATCH`, `GET /calls/{call_sid}`, `POST /calls/{call_sid}/reprocess` and `GET /calls`. */
export function callRoutes(knex: Knex, queue: RecordingSender, log: Logger): express.Router {
  const router = express.Router()

  router.get('/calls', async (request, response) => {
    const query = readQuery(request, callListQuery)
    const rows = await listCalls(knex, query, query.limit + 1)
    response.json(pageOf(rows, query.limit, (row) => encodeCursor(row.place_time, row.call_sid), toListedCall))
  })
  router.all('/calls', onlyMethods('GET'))

  router.get('/calls/:call_sid', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    const row = await findCall(knex, callSid)
    if (row === null) throw notFound(callSid)
    response.json(toCall(row))
  })

  router.patch('/calls/:call_sid', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    const change = readBody(request, callDetailsChange)
    const details = await knex.transaction((trx) => changeCallDetails(trx, callSid, change))
    if (details === null) {
      throw new Problem(409, `call ${callSid} is completed and its event is made; its details stay as they are`)
    }
    log.info(
      { event: 'admin.call_changed', operator: operatorOf(response), call_sid: callSid, fields: Object.keys(change) },
      'details of a call were changed',
    )
    response.json(details)
  })
  router.all('/calls/:call_sid', onlyMethods('GET, PATCH'))

  router.post('/calls/:call_sid/reprocess', async (request, response) => {
    const { call_sid: callSid } = readPath(request, callPath)
    const reprocessed = await knex.transaction((trx) => reprocess(trx, queue, callSid))
    if (reprocessed.result === 'not_found') throw notFound(callSid)
    if (reprocessed.result === 'not_failed') {
      throw new Problem(409, `call ${callSid} is ${reprocessed.state}; only a failed call is processed again`)
    }
    log.info(
      { event: 'admin.call_reprocessed', operator: operatorOf(response), call_sid: callSid },
      'a failed call was queued again',
    )
    const row = await findCall(knex, callSid)
    if (row === null) throw notFound(callSid)
    response.status(202).json(toCall(row))
  })
  router.all('/calls/:call_sid/reprocess', onlyMethods('POST'))
  return router
}

const notFound = (callSid: string): Problem =>
  new Problem(404, `there is no call ${callSid}: no callback of it has been matched to a business`)
