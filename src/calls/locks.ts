import type { Knex } from 'knex'

/**
 * The first of the two keys of each advisory lock: the oid of a table, so that two Callboxes in one database, whose locks
 * PostgreSQL keeps together, do not wait for each other.
 */
export const lockKind = {
  call: `'callbox.calls'::regclass::oid::integer`,
  businesses: `'callbox.businesses'::regclass::oid::integer`,
  callback: `'callbox.twilio_callbacks'::regclass::oid::integer`,
  retention: `'callbox.installation'::regclass::oid::integer`,
  accounting: `'callbox.webhook_outbox'::regclass::oid::integer`,
} as const

/** Holds the call until the transaction ends: matching, completing and changing one call never interleave. */
export async function lockCall(trx: Knex.Transaction, callSid: string): Promise<void> {
  await trx.raw(`select pg_advisory_xact_lock(${lockKind.call}, hashtext(?))`, [callSid])
}

/**
 * Matching reads businesses under the shared lock and a change of a business takes it alone, so a callback is never
 * called unmatched by a reader that missed a change whose own search missed the callback.
 */
export async function lockBusinessesForMatching(trx: Knex.Transaction): Promise<void> {
  await trx.raw(`select pg_advisory_xact_lock_shared(${lockKind.businesses}, 0)`)
}

export async function lockBusinessesForChange(trx: Knex.Transaction): Promise<void> {
  await trx.raw(`select pg_advisory_xact_lock(${lockKind.businesses}, 0)`)
}
