import { createHash } from 'node:crypto'
import type { Knex } from 'knex'
import { lockKind } from '../calls/locks.ts'
import { phoneNumberOf } from '../calls/phone-number.ts'
import { businessIdOfUrl, type CallbackKind, parseCallback, parseForm } from './callback.ts'

export interface CallbackKey {
  id: string
  call_sid: string
}

/** A row of `twilio_callbacks`, in so far as matching reads it. */
export interface StoredCallback extends CallbackKey {
  kind: CallbackKind
  parent_call_sid: string | null
  query: string
  body: string
  tries: number
}

/** How long storing may take, in milliseconds: Twilio waits 15 s for the whole answer. */
const storeDeadlineMs = 8_000

/** A signed callback as it came. */
export interface SignedCallback {
  kind: CallbackKind
  query: string
  body: string
  /** If not now. */
  receivedAt?: Date
}

/**
 * Stores a callback as it came, unless it is already there: Twilio repeats callbacks that it considers unanswered, and
 * callbacks with the same signed content are the same. A repeated one that found no business is matched again.
 */
export async function storeCallback(knex: Knex, callback: SignedCallback): Promise<'stored' | 'repeated'> {
  return (await storeCallbacks(knex, [callback])) > 0 ? 'stored' : 'repeated'
}

/** Stores callbacks in order, all of them or none. @returns how many were new. */
export async function storeCallbacks(knex: Knex, callbacks: readonly SignedCallback[]): Promise<number> {
  const rows = callbacks.map(rowOf)
  const inserted = await knex('callbox.twilio_callbacks')
    .insert(rows)
    .onConflict('fingerprint')
    .ignore()
    .returning('id')
    .timeout(storeDeadlineMs)
  if (inserted.length === rows.length) return inserted.length
  await knex('callbox.twilio_callbacks')
    .whereIn(
      'fingerprint',
      rows.map(({ fingerprint }) => fingerprint),
    )
    .where({ state: 'unmatched' })
    .update({ state: 'new', match_at: knex.raw('clock_timestamp()'), tries: 0 })
    .timeout(storeDeadlineMs)
  return inserted.length
}

function rowOf({ kind, query, body, receivedAt }: SignedCallback) {
  const callback = parseCallback(body)
  const urlBusinessId = businessIdOfUrl(query)
  return {
    kind,
    call_sid: callback.CallSid,
    parent_call_sid: callback.ParentCallSid || null,
    url_business_id: urlBusinessId === 'invalid' ? null : urlBusinessId,
    from_number: numberOrText(callback.From),
    to_number: numberOrText(callback.To),
    query,
    body,
    ...(receivedAt && { received_at: receivedAt }),
    fingerprint: fingerprintOf(kind, query, body),
  }
}

/** Checks whether a callback could be stored now, without storing one. */
export async function canStore(knex: Knex): Promise<boolean> {
  const rollBack = new Error('only tried')
  const error = await knex
    .transaction(async (trx) => {
      await storeCallback(trx, { kind: 'call_status', query: '', body: 'CallSid=tried' })
      throw rollBack
    })
    .catch((caught: unknown) => caught)
  return error === rollBack
}

/** A hash of what Twilio signs: the URL, and the parameters whatever their order (Twilio's documentation, "Security"). */
function fingerprintOf(kind: CallbackKind, query: string, body: string): Buffer {
  const parameters = Object.entries(parseForm(body)).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([kind, query, parameters]))
    .digest()
}

/** E.164 if an address has a number, so that a business with that number finds it; else as Twilio wrote it. */
const numberOrText = (address: string): string => phoneNumberOf(address) || address

/** How many of the oldest due callbacks are examined for one that no other process has claimed. */
const claimWindow = 64

/**
 * Claims the callback that waits longest of those that are due and unclaimed, until `trx` ends. The claim is an
 * advisory lock and not the row's: `for update skip locked` also locks, and keeps, rows that it then finds changed and
 * does not return, and whoever needs such a row in the meantime either passes it over or waits into a deadlock.
 */
export async function claimDueCallback(trx: Knex.Transaction): Promise<CallbackKey | undefined> {
  const { rows } = await trx.raw<{ rows: CallbackKey[] }>(
    `select id, call_sid
     from (select id, call_sid
           from callbox.twilio_callbacks
           where state = 'new' and match_at <= now()
           order by match_at
           limit ?) as due
     where pg_try_advisory_xact_lock(${lockKind.callback}, hashint8(id))
     limit 1`,
    [claimWindow],
  )
  return rows[0]
}

/**
 * A callback that still waits for matching. Hold `lockCall` for its CallSid: then it changes no more, but for its turn.
 *
 * @param due only if its turn had come when `trx` began.
 */
export async function readNewCallback(
  trx: Knex.Transaction,
  id: string,
  due: boolean,
): Promise<StoredCallback | undefined> {
  const row = trx('callbox.twilio_callbacks').where({ id, state: 'new' })
  if (due) row.where('match_at', '<=', trx.raw('now()'))
  return await row.first('id', 'kind', 'call_sid', 'parent_call_sid', 'query', 'body', 'tries')
}

/** Keeps what the Call resource told: the leg's call, and the numbers by which a changed business finds it. */
export async function rememberCall(
  trx: Knex.Transaction,
  id: string,
  call: { parentCallSid: string | null; from: string; to: string },
): Promise<void> {
  await trx('callbox.twilio_callbacks')
    .where({ id })
    .update({
      parent_call_sid: call.parentCallSid,
      from_number: numberOrText(call.from),
      to_number: numberOrText(call.to),
    })
}

/** Gives a callback that names no CallSid the one that Twilio has for it. */
export async function nameCall(trx: Knex.Transaction, id: string, callSid: string): Promise<void> {
  await trx('callbox.twilio_callbacks').where({ id }).update({ call_sid: callSid })
}

export async function settleMatched(trx: Knex.Transaction, id: string, businessId: string): Promise<void> {
  await trx('callbox.twilio_callbacks')
    .where({ id })
    .update({
      state: 'matched',
      business_id: businessId,
      reason: null,
      matched_at: trx.raw('clock_timestamp()'),
    })
}

export async function settleUnmatched(trx: Knex.Transaction, id: string, reason: string): Promise<void> {
  await trx('callbox.twilio_callbacks').where({ id }).update({ state: 'unmatched', reason })
}

/**
 * Puts a callback off.
 *
 * @param tries how often its match has been tried without an end.
 */
export async function postpone(
  connection: Knex,
  id: string,
  waitSeconds: number,
  tries: number,
  reason: string | null,
): Promise<void> {
  await connection('callbox.twilio_callbacks')
    .where({ id, state: 'new' })
    .update({ match_at: connection.raw('clock_timestamp() + make_interval(secs => ?)', [waitSeconds]), tries, reason })
}

/** Queues the other callbacks of a call and its legs for matching, if they wait or found no business. */
export async function wakeOthers(trx: Knex.Transaction, callSids: readonly string[]): Promise<void> {
  await trx.raw(
    `update callbox.twilio_callbacks set state = 'new', match_at = clock_timestamp()
     where (call_sid = any(:callSids) or parent_call_sid = any(:callSids))
       and (state = 'unmatched' or (state = 'new' and match_at > now()))`,
    { callSids: [...new Set(callSids)] },
  )
}
