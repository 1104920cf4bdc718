import type { Knex } from 'knex'
import { ConfigError } from '../config.ts'
import type { Sealer } from './sealing.ts'

/** Of the row of `installation` that has the fingerprint of the key with which the database is sealed. */
const key = 'secrets_key'

/**
 * Refuses to run with a key other than the one that the database was sealed with; the first start records it. Until
 * `callbox reseal` has ended, that may be the previous key.
 *
 * @throws {ConfigError} when the fingerprints differ.
 */
export async function checkSecretsKey(knex: Knex, sealer: Sealer): Promise<void> {
  await knex('callbox.installation').insert({ key, value: sealer.fingerprint }).onConflict('key').ignore()
  const row = await knex('callbox.installation').where({ key }).first<{ value: string }>('value')
  if (row && opens(sealer, row.value)) return
  throw new ConfigError(
    `SECRETS_KEY: got the key ${sealer.fingerprint}; expected the key ${row?.value}, with which this database is sealed, ` +
      'or that one in SECRETS_KEY_PREVIOUS',
  )
}

/**
 * Whether what this process seals will be opened by others. A process that was left behind with a former key is told
 * so here; and as long as the transaction lasts no reseal ends.
 */
export async function maySeal(trx: Knex.Transaction, sealer: Sealer): Promise<boolean> {
  const row = await trx('callbox.installation').where({ key }).forShare().first<{ value: string } | undefined>('value')
  return row === undefined || opens(sealer, row.value)
}

/** Waits for every {@link maySeal}, and lets no other begin until the transaction ends. */
export async function holdSecretsKey(trx: Knex.Transaction): Promise<void> {
  await trx('callbox.installation').where({ key }).forUpdate().first('value')
}

export async function recordSecretsKey(trx: Knex.Transaction, sealer: Sealer): Promise<void> {
  await trx('callbox.installation').where({ key }).update({ value: sealer.fingerprint })
}

const opens = (sealer: Sealer, fingerprint: string): boolean =>
  fingerprint === sealer.fingerprint || fingerprint === sealer.previousFingerprint
