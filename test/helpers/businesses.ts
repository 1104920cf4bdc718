import { randomBytes } from 'node:crypto'
import { Sealer, sealedPlace } from '../../src/database/sealing.ts'
import type { TestDatabase } from './database.ts'

/** The key of every test's own installation. */
export const secretsKey = Buffer.alloc(32, 7)
export const sealer = new Sealer(secretsKey)

export interface BusinessSettings {
  inbound?: string
  outbound?: string
  generic?: string
  maxConcurrency?: number
  headers?: Record<string, string>
}

/** Writes a business as the admin API does, and returns its signing secret. */
export async function putBusiness(
  { pool }: Pick<TestDatabase, 'pool'>,
  businessId: string,
  settings: BusinessSettings,
): Promise<string> {
  const secret = `whsec_${randomBytes(24).toString('base64')}`
  const headers = settings.headers && sealer.seal(JSON.stringify(settings.headers), sealedPlace.headers(businessId))
  await pool.query(
    `insert into businesses (business_id, inbound_webhook_url, outbound_webhook_url, generic_webhook_url,
                             max_concurrency, headers_sealed, signing_secret_sealed)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      businessId,
      settings.inbound ?? null,
      settings.outbound ?? null,
      settings.generic ?? null,
      settings.maxConcurrency ?? null,
      headers ?? null,
      sealer.seal(secret, sealedPlace.signingSecret(businessId)),
    ],
  )
  await pool.query(
    `insert into routes (business_id, direction) values ($1, 'inbound'), ($1, 'outbound') on conflict do nothing`,
    [businessId],
  )
  return secret
}
