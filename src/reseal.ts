import { type Config, ConfigError } from './config.ts'
import { createKnex } from './database/knex.ts'
import { openDatabase } from './database/open.ts'
import { reseal } from './database/reseal.ts'
import { missingMigrations } from './database/schema-version.ts'
import { Sealer } from './database/sealing.ts'
import { explainUnusable } from './database/unusable.ts'

/**
 * The command `callbox reseal`; says what it did on standard output, and what it could not open on standard error.
 *
 * @throws {ConfigError} for settings that it cannot run with.
 */
export async function runReseal(config: Config): Promise<void> {
  if (config.secretsKey === null) {
    throw new ConfigError(
      'SECRETS_KEY: got nothing; expected the new key, 32 bytes in base64 (openssl rand -base64 32)',
    )
  }
  if (config.secretsKeyPrevious === null) {
    throw new ConfigError('SECRETS_KEY_PREVIOUS: got nothing; expected the former SECRETS_KEY')
  }
  const sealer = new Sealer(config.secretsKey, config.secretsKeyPrevious)
  const opened = await openDatabase(config, true)
  const knex = createKnex(opened.url, config.databaseSchema, 'callbox reseal', 2)
  try {
    const missing = await missingMigrations(knex)
    if (missing !== null) throw new ConfigError(missing)
    const { values, unreadable } = await reseal(knex, sealer)
    for (const what of unreadable) process.stderr.write(`left as it was: ${what}\n`)
    process.stdout.write(
      `sealed ${values} values anew; the database is sealed with the key ${sealer.fingerprint} now, ` +
        'and SECRETS_KEY_PREVIOUS is no longer needed\n',
    )
  } catch (error) {
    throw explainUnusable(error, 'DATABASE_URL')
  } finally {
    await knex.destroy()
    await opened.embedded?.stop()
  }
}
