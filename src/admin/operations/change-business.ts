import { recordAct } from '../audit-records.ts'
import { storeBusinessChange } from '../business-changes.ts'
import { toBusiness } from '../business-records.ts'
import { Problem } from '../problems.ts'
import type { BusinessChange, ChangedBusiness } from '../schemas/business.ts'
import type { OperationParts } from './operation-parts.ts'

/**
 * Creates or changes a business.
 *
 * @param seen the `updated_at` of what the change was made for; `null`: whatever it is now.
 * @throws {Problem} 409 naming each phone number that another business has, or when it was changed since `seen`; 503 when
 *   the database is sealed with a newer `SECRETS_KEY` than this process has.
 */
export async function changeBusiness(
  { knex, sealer, hints, log }: Pick<OperationParts, 'knex' | 'sealer' | 'hints' | 'log'>,
  operator: string,
  businessId: string,
  change: BusinessChange,
  seen: string | null = null,
): Promise<{ created: boolean; business: ChangedBusiness }> {
  const result = await knex.transaction(async (trx) => {
    const outcome = await storeBusinessChange(trx, sealer, businessId, change, seen)
    if (outcome.outcome === 'changed' && (outcome.created || outcome.changed.length > 0)) {
      const action = outcome.created ? 'business.created' : 'business.changed'
      await recordAct(trx, { operator, action, businessId, detail: detailOf(outcome.changed, change) })
    }
    return outcome
  })
  if (result.outcome === 'numbers_taken') {
    const fields = result.places.map((place) => ({
      field: `phone_numbers[${place}]`,
      detail: 'belongs to another business; take it from that one first',
    }))
    throw new Problem(409, `${fields[0]?.field} belongs to another business; nothing was changed`, fields)
  }
  if (result.outcome === 'changed_since') {
    throw new Problem(
      409,
      'the business has been changed since this page was opened; nothing was saved. Look at it again, and save again',
    )
  }
  if (result.outcome === 'key_replaced') {
    throw new Problem(503, 'this process runs with a former SECRETS_KEY; start it again with the new one')
  }
  const { created, reopened, moved } = result
  for (const direction of moved) hints.hint(businessId, direction)
  const fields = Object.keys(change)
  log.info(
    { event: 'admin.business_changed', operator, business_id: businessId, created, fields, reopened },
    created ? 'a business was created' : 'a business was changed',
  )
  const business: ChangedBusiness = {
    ...toBusiness(result.business, sealer, log),
    ...(result.madeSecret === null ? {} : { signing_secret: result.madeSecret }),
    skipped_deliveries_that_fit: result.fitting,
  }
  return { created, business }
}

/** Their values tell nothing that is secret or personal. */
const harmless = ['language', 'max_concurrency', 'rate_per_second'] as const

function detailOf(fields: string[], change: BusinessChange): Record<string, unknown> {
  const told = harmless.filter((field) => fields.includes(field)).map((field) => [field, change[field]])
  return { fields, ...Object.fromEntries(told) }
}
