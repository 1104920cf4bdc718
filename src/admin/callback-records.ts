import type { Knex } from 'knex'
import type { CallbackAnswer } from './schemas/callback.ts'

export type CallbackRow = Omit<CallbackAnswer, 'received_at' | 'matched_at'> & {
  received_at: Date
  matched_at: Date | null
}
type CallbackState = CallbackAnswer['state']

/**
 * Newest first; from the one before `before`. Those that wait and those that found nobody have an index each, so they are
 * read apart and then merged.
 *
 * @param matched `undefined`: all of them.
 */
export async function listCallbacks(
  knex: Knex,
  matched: boolean | undefined,
  limit: number,
  before: string | undefined,
): Promise<CallbackRow[]> {
  const page = (state?: CallbackState) => {
    const query = knex('callbox.twilio_callbacks').orderBy('id', 'desc').limit(limit)
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

export function toCallback(row: CallbackRow): CallbackAnswer {
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
