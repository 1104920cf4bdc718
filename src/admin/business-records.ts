import type { Knex } from 'knex'
import { SealError, type Sealer, sealedPlace } from '../database/sealing.ts'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import { type Direction, routeFor } from '../outbox/routing.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Business } from './schemas/business.ts'

export interface BusinessUrls {
  inbound_webhook_url: string | null
  outbound_webhook_url: string | null
  generic_webhook_url: string | null
}

/** A business as it is stored, with its phone numbers. */
export interface BusinessRow extends BusinessUrls {
  business_id: string
  name: string
  headers_sealed: Buffer | null
  signing_secret_sealed: Buffer
  previous_secret_until: Date | null
  language: string
  rejected_language: string
  service_categories: string[]
  max_concurrency: number | null
  /** `numeric`, which pg gives as text. */
  rate_per_second: string | null
  created_at: Date
  updated_at: Date
  phone_numbers: string[]
  /** Of its {@link TimePlace}. */
  place_time: string
}

export async function findBusiness(knex: Knex, businessId: string): Promise<BusinessRow | null> {
  const [row] = await businesses(knex).where({ business_id: businessId })
  return row ?? null
}

/** Newest first; from the place after `after`. */
export async function listBusinesses(knex: Knex, limit: number, after: TimePlace | undefined): Promise<BusinessRow[]> {
  const query = businesses(knex).orderByRaw('b.created_at desc, b.business_id desc').limit(limit)
  if (after) query.whereRaw('(b.created_at, b.business_id) < (?::timestamptz, ?::bigint)', [after.createdAt, after.id])
  return query
}

function businesses(knex: Knex): Knex.QueryBuilder<object, BusinessRow[]> {
  return knex('callbox.businesses as b').select<BusinessRow[]>(
    'b.*',
    knex.raw(`array(
      select n.phone_number from callbox.phone_numbers n where n.business_id = b.business_id order by n.phone_number
    ) as phone_numbers`),
    knex.raw(placeTime('b.created_at')),
  )
}

/** Where deliveries of a direction go; `null`: nowhere. @param business `null`: it is not known. */
export function effectiveUrl(direction: Direction, business: BusinessUrls | null): string | null {
  const urls = business && {
    inbound: business.inbound_webhook_url,
    outbound: business.outbound_webhook_url,
    generic: business.generic_webhook_url,
  }
  const routing = routeFor(direction, urls)
  return 'url' in routing ? routing.url : null
}

export function toBusiness(row: BusinessRow, sealer: Sealer, log: Logger): Business {
  return {
    business_id: row.business_id,
    name: row.name,
    phone_numbers: row.phone_numbers,
    inbound_webhook_url: row.inbound_webhook_url,
    outbound_webhook_url: row.outbound_webhook_url,
    generic_webhook_url: row.generic_webhook_url,
    header_names: headerNames(row, sealer, log),
    language: row.language,
    language_rejected: row.language !== '' && row.rejected_language === row.language,
    service_categories: row.service_categories,
    max_concurrency: row.max_concurrency,
    rate_per_second: row.rate_per_second === null ? null : Number(row.rate_per_second),
    previous_secret_until: row.previous_secret_until?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}

/** Damage in one business must not hide the others, nor what else is known of it: then `null`. */
function headerNames(row: BusinessRow, sealer: Sealer, log: Logger): string[] | null {
  const headers = openHeaders(row, sealer, log)
  return headers && Object.keys(headers)
}

/** Its own headers with their values, which are secret. `null`: they cannot be decrypted. */
export function openHeaders(row: BusinessRow, sealer: Sealer, log: Logger): Record<string, string> | null {
  if (row.headers_sealed === null) return {}
  try {
    return JSON.parse(sealer.open(row.headers_sealed, sealedPlace.headers(row.business_id)))
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    const businessId = row.business_id
    log.warn({ event: 'admin.headers_unreadable', business_id: businessId, err: error }, 'headers cannot be decrypted')
    return null
  }
}
