import type { Knex } from 'knex'

/**
 * Has stored callbacks that may fit a business after its change matched again: those whose URL names it and those of
 * calls with one of its numbers. The others of the same calls follow when the first of them finds its business.
 *
 * Call it in the transaction of the change, under `lockBusinessesForChange`.
 *
 * @returns how many are tried again.
 */
export async function reopenUnmatchedCallbacks(
  trx: Knex.Transaction,
  businessId: string,
  phoneNumbers: readonly string[],
): Promise<number> {
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `update callbox.twilio_callbacks set state = 'new', match_at = clock_timestamp(), tries = 0
     where state = 'unmatched'
       and (url_business_id = :businessId or from_number = any(:phoneNumbers) or to_number = any(:phoneNumbers))`,
    { businessId, phoneNumbers: [...phoneNumbers] },
  )
  return rowCount
}
