import type { Knex } from 'knex'

/** The first of the two keys of each advisory lock (`pg_advisory_xact_lock(int, int)`): one number a kind. */
export const lockKind = { call: 1, businesses: 2, callback: 3 } as const

/** Holds the call until the transaction ends: matching, completing and changing one call never interleave. */
export async function lockCall(trx: Knex.Transaction, callSid: string): Promise<void> {
  await trx.raw('select pg_advisory_xact_lock(?, hashtext(?))', [lockKind.call, callSid])
}

/**
 * Matching reads businesses under the shared lock and a change of a business takes it alone, so a callback is never
 * called unmatched by a reader that missed a change whose own search missed the callback.
 */
export async function lockBusinessesForMatching(trx: Knex.Transaction): Promise<void> {
  await trx.raw('select pg_advisory_xact_lock_shared(?, 0)', [lockKind.businesses])
}

export async function lockBusinessesForChange(trx: Knex.Transaction): Promise<void> {
  await trx.raw('select pg_advisory_xact_lock(?, 0)', [lockKind.businesses])
}
