import { randomBytes } from 'node:crypto'
import { Sealer, sealedPlace } from '../../src/database/sealing.ts'
import type { BenchDatabase } from './database.ts'

/** The installation's key, for all dispatchers of a run. */
export const secretsKey = randomBytes(32)

const sealer = new Sealer(secretsKey)

/** Writes businesses with all that the admin API gives them: a signing secret, and the rows of both routes. */
export async function putBusinesses(
  database: BenchDatabase,
  businesses: readonly number[],
  url: string,
): Promise<void> {
  const secrets = businesses.map((business) => {
    const secret = `whsec_${randomBytes(24).toString('base64')}`
    return sealer.seal(secret, sealedPlace.signingSecret(String(business)))
  })
  await database.pool.query(
    `insert into ${database.version.schema}.businesses (business_id, name, inbound_webhook_url, outbound_webhook_url, signing_secret_sealed)
     select id, 'business ' || id, $3 || '/' || id, $3 || '/' || id, secret
     from unnest($1::bigint[], $2::bytea[]) as b (id, secret)`,
    [businesses, secrets, url],
  )
  await database.pool.query(
    `insert into ${database.version.schema}.routes (business_id, direction)
     select id, direction from unnest($1::bigint[]) as b (id) cross join (values ('inbound'), ('outbound')) as d (direction)`,
    [businesses],
  )
}

/** Whole numbers from 1. */
export const firstBusinesses = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** The 100 of most measurements. */
export const businesses = firstBusinesses(100)
