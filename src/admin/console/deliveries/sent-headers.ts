/** A header of a POST. */
export interface SentHeader {
  name: string
  /** `null`: it is secret, or not kept. */
  value: string | null
  /** What is to be known of one without a value. */
  note?: string
}

/**
 * The headers of an attempt, as `dispatcher/webhook-request.ts` makes them.
 *
 * @param startedAt RFC 3339, of the attempt; `null`: it is still to come.
 * @param ownNames names of the business's own headers; `null`: they cannot be decrypted.
 */
export function sentHeaders(
  deliveryId: string,
  startedAt: string | null,
  ownNames: readonly string[] | null,
): SentHeader[] {
  const ownUserAgent = ownNames?.some((name) => name.toLowerCase() === 'user-agent') ?? false
  const timestamp = startedAt === null ? null : String(Math.floor(Date.parse(startedAt) / 1_000))
  return [
    { name: 'content-type', value: 'application/json' },
    ...(ownUserAgent ? [] : [{ name: 'user-agent', value: 'Callbox' }]),
    { name: 'webhook-id', value: deliveryId },
    { name: 'webhook-timestamp', value: timestamp, note: 'the seconds of its attempt' },
    { name: 'webhook-signature', value: null, note: 'made anew for each attempt, and not kept' },
    ...(ownNames ?? []).map((name) => ({
      name,
      value: null,
      note: 'as the business has it now; its value is not shown',
    })),
  ]
}
