import { isDeepStrictEqual } from 'node:util'
import type { Knex } from 'knex'
import { lockBusinessesForChange } from '../calls/locks.ts'
import { reopenUnmatchedCallbacks } from '../calls/unmatched-callbacks.ts'
import type { Sealer } from '../database/sealing.ts'
import { maySeal } from '../database/secrets-key.ts'
import { ensureRoutes } from '../outbox/requeue.ts'
import { resetRoute } from '../outbox/route-switch.ts'
import type { Direction } from '../outbox/routing.ts'
import { type BusinessRow, effectiveUrl, findBusiness } from './business-records.ts'
import type { BusinessChange } from './schemas/business.ts'
import { sealSettings } from './seal-settings.ts'
import { type FittingDeliveries, skippedDeliveriesThatFit } from './skipped-deliveries.ts'

export type BusinessChangeOutcome =
  | {
      outcome: 'changed'
      created: boolean
      /** Fields of the change that are another now. */
      changed: (keyof BusinessChange)[]
      business: BusinessRow
      /** A secret that this change made; one that was given is not told again. */
      madeSecret: string | null
      fitting: FittingDeliveries
      /** Directions whose effective URL is another one now. */
      moved: Direction[]
      /** Stored callbacks that are matched again. */
      reopened: number
    }
  /** Places in `phone_numbers` of numbers that another business has. */
  | { outcome: 'numbers_taken'; places: number[] }
  /** Somebody else has changed it since it was seen. */
  | { outcome: 'changed_since' }
  /** The database is sealed with another key by now: what this process seals, no other could open. */
  | { outcome: 'key_replaced' }

/**
 * Creates or changes a business, with its phone numbers and both its routes, in the caller's transaction. Only the
 * fields that `change` names are changed; `null` clears, and makes a new signing secret. A changed effective URL makes its
 * route active again.
 *
 * @param seen the `updated_at` of what the change was made for; `null`: whatever it is now.
 */
export async function storeBusinessChange(
  trx: Knex.Transaction,
  sealer: Sealer,
  businessId: string,
  change: BusinessChange,
  seen: string | null,
): Promise<BusinessChangeOutcome> {
  await lockBusinessesForChange(trx)
  if (!(await maySeal(trx, sealer))) return { outcome: 'key_replaced' }
  const before = await findBusiness(trx, businessId)
  if (seen !== null && before?.updated_at.toISOString() !== seen) return { outcome: 'changed_since' }
  const places = await takenNumbers(trx, businessId, change.phone_numbers ?? [])
  if (places.length > 0) return { outcome: 'numbers_taken', places }

  const sealed = sealSettings(trx, sealer, businessId, before, change)
  const columns = { ...plainColumns(change), ...sealed.columns }
  if (before === null) {
    await trx('callbox.businesses').insert({ business_id: businessId, ...columns })
  } else {
    const counted = { revision: trx.raw('revision + 1'), updated_at: trx.raw('clock_timestamp()') }
    await trx('callbox.businesses')
      .where({ business_id: businessId })
      .update({ ...columns, ...counted })
  }
  await ensureRoutes(trx, businessId, ['inbound', 'outbound'])
  if (change.phone_numbers !== undefined) await replaceNumbers(trx, businessId, change.phone_numbers ?? [])

  const business = await findBusiness(trx, businessId)
  if (business === null) throw new Error(`business ${businessId} is gone within its own change`)
  return {
    outcome: 'changed',
    created: before === null,
    changed: changedFields(before, business, change),
    business,
    madeSecret: sealed.madeSecret,
    moved: await resetMovedRoutes(trx, before, business),
    fitting: await skippedDeliveriesThatFit(trx, before, business),
    reopened: await reopenUnmatchedCallbacks(trx, businessId, business.phone_numbers),
  }
}

function changedFields(
  before: BusinessRow | null,
  after: BusinessRow,
  change: BusinessChange,
): (keyof BusinessChange)[] {
  const stored = (row: BusinessRow | null, field: keyof BusinessChange): unknown => {
    if (field === 'headers') return row?.headers_sealed
    return field === 'signing_secret' ? row?.signing_secret_sealed : row?.[field]
  }
  const named = (Object.keys(change) as (keyof BusinessChange)[]).filter((field) => change[field] !== undefined)
  return named.filter((field) => !isDeepStrictEqual(stored(before, field) ?? null, stored(after, field) ?? null))
}

async function resetMovedRoutes(
  trx: Knex.Transaction,
  before: BusinessRow | null,
  after: BusinessRow,
): Promise<Direction[]> {
  const moved: Direction[] = []
  for (const direction of ['inbound', 'outbound'] as const) {
    const [from, to] = [effectiveUrl(direction, before), effectiveUrl(direction, after)]
    if (from === to) continue
    moved.push(direction)
    await resetRoute(trx, after.business_id, direction, { hadUrl: from !== null, hasUrl: to !== null })
  }
  return moved
}

const urlFields = ['inbound_webhook_url', 'outbound_webhook_url', 'generic_webhook_url'] as const
const numberFields = ['max_concurrency', 'rate_per_second'] as const

function plainColumns(change: BusinessChange): Record<string, unknown> {
  const columns: Record<string, unknown> = {}
  for (const field of [...urlFields, ...numberFields]) {
    if (change[field] !== undefined) columns[field] = change[field]
  }
  for (const field of ['name', 'language'] as const) {
    if (change[field] !== undefined) columns[field] = change[field] ?? ''
  }
  if (change.service_categories !== undefined) columns['service_categories'] = change.service_categories ?? []
  return columns
}

async function takenNumbers(trx: Knex.Transaction, businessId: string, numbers: readonly string[]): Promise<number[]> {
  const taken = await trx('callbox.phone_numbers')
    .whereIn('phone_number', [...numbers])
    .whereNot({ business_id: businessId })
    .pluck<string[]>('phone_number')
  return numbers.flatMap((number, place) => (taken.includes(number) ? [place] : []))
}

async function replaceNumbers(trx: Knex.Transaction, businessId: string, numbers: readonly string[]): Promise<void> {
  await trx('callbox.phone_numbers')
    .where({ business_id: businessId })
    .whereNotIn('phone_number', [...numbers])
    .delete()
  if (numbers.length === 0) return
  await trx('callbox.phone_numbers')
    .insert(numbers.map((number) => ({ phone_number: number, business_id: businessId })))
    .onConflict('phone_number')
    .ignore()
}
