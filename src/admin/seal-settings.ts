import type { Knex } from 'knex'
import { SealError, type Sealer, sealedPlace } from '../database/sealing.ts'
import type { BusinessRow } from './business-records.ts'
import type { BusinessChange } from './schemas/business.ts'
import { makeSigningSecret } from './schemas/signing-secret.ts'

/** How long a former signing secret signs beside the new one. */
const overlap = '24 hours'

export interface SealedSettings {
  columns: Record<string, unknown>
  /** A secret that this change made; one that was given is not told again. */
  madeSecret: string | null
}

/**
 * The columns of what is secret in a change. The signing secret that it replaces signs on for 24 h; one that it only
 * repeats is left as it is, and so is the time of its predecessor.
 *
 * @param before `null`: the business is new, and gets a secret whether one was given or not.
 */
export function sealSettings(
  trx: Knex.Transaction,
  sealer: Sealer,
  businessId: string,
  before: BusinessRow | null,
  change: BusinessChange,
): SealedSettings {
  const columns: Record<string, unknown> = {}
  if (change.headers !== undefined) {
    const place = sealedPlace.headers(businessId)
    columns['headers_sealed'] = change.headers && sealer.seal(JSON.stringify(change.headers), place)
  }
  const madeSecret =
    change.signing_secret === null || (before === null && change.signing_secret === undefined)
      ? makeSigningSecret()
      : null
  const secret = madeSecret ?? change.signing_secret
  const former = before && readSecret(sealer, before)
  if (secret && secret !== former) {
    columns['signing_secret_sealed'] = sealer.seal(secret, sealedPlace.signingSecret(businessId))
    const place = sealedPlace.previousSigningSecret(businessId)
    columns['previous_signing_secret_sealed'] = former && sealer.seal(former, place)
    columns['previous_secret_until'] = former && trx.raw('now() + ?::interval', [overlap])
  }
  return { columns, madeSecret }
}

/** `null`: it cannot be decrypted, so it cannot sign on either. */
function readSecret(sealer: Sealer, business: BusinessRow): string | null {
  try {
    return sealer.open(business.signing_secret_sealed, sealedPlace.signingSecret(business.business_id))
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    return null
  }
}
