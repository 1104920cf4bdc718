import type { Knex } from 'knex'
import type { Logger } from '../telemetry/logger.ts'
import { poolOf } from './knex.ts'

/** Defaults of the role or the database that do harm where a pooler does not pass on our own settings. */
const findHarmfulDefaults = `
  select name, setting from pg_catalog.pg_settings
  where (name = 'default_transaction_isolation' and setting <> 'read committed')
    or (name in ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')
        and setting::bigint between 1 and 10000)
  order by name`

/** Warns once where the defaults cannot be overridden: only the operator can change them. */
export async function warnOfPooledDefaults(knex: Knex, log: Logger): Promise<void> {
  if (poolOf(knex).settingsLevel === 'all') return
  const { rows } = await knex.raw<{ rows: { name: string; setting: string }[] }>(findHarmfulDefaults)
  for (const { name, setting } of rows) {
    log.warn(
      { event: 'database.pooled_default', setting: name, value: setting },
      `behind this pooler ${name} is ${setting}, which makes statements fail: alter role … reset ${name}, or set it where the database has it`,
    )
  }
}
