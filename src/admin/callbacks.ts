import express from 'express'
import type { Knex } from 'knex'
import { encodeCursor, pageOf } from './paging.ts'
import { onlyMethods } from './problems.ts'
import { readQuery } from './read-request.ts'
import { type CallbackAnswer, callbackListQuery } from './schemas/callback.ts'

type CallbackRow = Omit<CallbackAnswer, 'received_at' | 'matched_at'> & { received_at: Date; matched_at: Date | null }
type CallbackState = CallbackAnswer['state']

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

/** Those that wait and those that found nobody have an index each, so they are read apart and then merged. */
async function listCallbacks(
  knex: Knex,
  matched: boolean | undefined,
  limit: number,
  before: string | undefined,
): Promise<CallbackRow[]> {
  const page = (state?: CallbackState) => {
    const query = knex('twilio_callbacks').orderBy('id', 'desc').limit(limit)
    if (state) query.where({ state })
    if (before) query.where('id', '<', before)
    return query.select<CallbackRow[]>(
      ...['id', 'kind', 'call_sid', 'parent_call_sid', 'from_number as from', 'to_number as to'],
      ...['state', 'reason', 'business_id', 'received_at', 'matched_at'],
    )
  }
  if (matched === undefined) return page()
  if (matched) return page('matched')
  const rows = [...(await page('unmatched')), ...(await page('new'))]
  return rows.sort((a, b) => Number(BigInt(b.id) - BigInt(a.id))).slice(0, limit)
}

function toCallback(row: CallbackRow): CallbackAnswer {
  return {
    id: row.id,
    kind: row.kind,
    call_sid: row.call_sid,
    parent_call_sid: row.parent_call_sid,
    from: row.from,
    to: row.to,
    state: row.state,
    reason: row.reason,
    business_id: row.business_id,
    received_at: row.received_at.toISOString(),
    matched_at: row.matched_at?.toISOString() ?? null,
  }
}
