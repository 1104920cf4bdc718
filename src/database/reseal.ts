import type { Knex } from 'knex'
import { SealError, type Sealer, sealedPlace } from './sealing.ts'
import { checkSecretsKey, holdSecretsKey, recordSecretsKey } from './secrets-key.ts'

/** Businesses that one transaction seals anew. */
const batchSize = 200

const columns = ['signing_secret_sealed', 'previous_signing_secret_sealed', 'headers_sealed'] as const
type SealedColumn = (typeof columns)[number]

const placeOf: Record<SealedColumn, (businessId: string) => string> = {
  signing_secret_sealed: sealedPlace.signingSecret,
  previous_signing_secret_sealed: sealedPlace.previousSigningSecret,
  headers_sealed: sealedPlace.headers,
}

type SealedRow = Record<SealedColumn, Buffer | null> & { business_id: string }

export interface Resealed {
  /** How many values were sealed anew. */
  values: number
  /** What neither key opens, in words; it has been left as it is. */
  unreadable: string[]
}

/**
 * Seals every value of the database anew that the sealer's own key did not seal, and records that key as the one of
 * this database. Each value names the key that sealed it, so this may end anywhere and be run again, and processes that
 * have both keys go on meanwhile.
 *
 * A PUT beside it may come from a process that still seals with the previous key, so it goes round until it finds
 * nothing, while no PUT is under way; from then on those processes are refused (see `maySeal`).
 *
 * @throws {ConfigError} when the database is sealed with neither of the sealer's keys.
 */
export async function reseal(knex: Knex, sealer: Sealer): Promise<Resealed> {
  await checkSecretsKey(knex, sealer)
  let values = 0
  for (;;) {
    const round = await resealAll(knex, sealer)
    values += round.values
    if (await recordIfDone(knex, sealer)) return { values, unreadable: round.unreadable }
  }
}

async function resealAll(knex: Knex, sealer: Sealer): Promise<Resealed> {
  const all: Resealed = { values: 0, unreadable: [] }
  let after: string | undefined = '0'
  while (after !== undefined) {
    const from: string = after
    const rows = await knex.transaction(async (trx) => {
      const batch = await remaining(trx, sealer).where('business_id', '>', from).limit(batchSize).forUpdate()
      for (const row of batch) await resealRow(trx, sealer, row, all)
      return batch
    })
    after = rows.at(-1)?.business_id
  }
  return all
}

/** Businesses with a value that another key sealed. */
function remaining(trx: Knex.Transaction, sealer: Sealer): Knex.QueryBuilder<object, SealedRow[]> {
  const keyId = Buffer.from(sealer.fingerprint, 'hex')
  const query = trx('callbox.businesses')
    .select<SealedRow[]>('business_id', ...columns)
    .orderBy('business_id')
  return query.where((any) => {
    for (const column of columns) any.orWhereRaw('substr(??, 1, ?::integer) <> ?', [column, keyId.length, keyId])
  })
}

async function resealRow(trx: Knex.Transaction, sealer: Sealer, row: SealedRow, all: Resealed): Promise<void> {
  const changed: Partial<Record<SealedColumn, Buffer>> = {}
  for (const { column, sealed, place } of valuesToReseal(row, sealer)) {
    try {
      changed[column] = sealer.seal(sealer.open(sealed, place), place)
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      all.unreadable.push(`${place}: ${error.message}`)
    }
  }
  const count = Object.keys(changed).length
  if (count === 0) return
  // The same settings in another envelope: `revision` stays, so that no dispatcher reads them again.
  await trx('callbox.businesses').where({ business_id: row.business_id }).update(changed)
  all.values += count
}

function valuesToReseal(row: SealedRow, sealer: Sealer): { column: SealedColumn; sealed: Buffer; place: string }[] {
  return columns.flatMap((column) => {
    const sealed = row[column]
    if (sealed === null || sealer.isCurrent(sealed)) return []
    return [{ column, sealed, place: placeOf[column](row.business_id) }]
  })
}

/** Not done: a PUT has come in between, and sealed something with the previous key. */
async function recordIfDone(knex: Knex, sealer: Sealer): Promise<boolean> {
  return knex.transaction(async (trx) => {
    await holdSecretsKey(trx)
    const left = await remaining(trx, sealer)
    const values = left.flatMap((row) => valuesToReseal(row, sealer))
    if (values.some(({ sealed, place }) => sealer.opens(sealed, place))) return false
    await recordSecretsKey(trx, sealer)
    return true
  })
}
