import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Knex } from 'knex'

export const migrationsDirectory = fileURLToPath(new URL('../../migrations', import.meta.url))
/** Where knex notes which of them have been applied. */
export const migrationsTable = 'callbox_migrations'

/** `null` when every migration that this version knows is applied; else a sentence that says what is missing. */
export async function missingMigrations(knex: Knex): Promise<string | null> {
  const known = readdirSync(migrationsDirectory).filter((file) => file.endsWith('.ts'))
  const { rows } = await knex.raw<{ rows: { present: boolean }[] }>(`select to_regclass(?) is not null as present`, [
    migrationsTable,
  ])
  if (rows[0]?.present !== true) return 'the database has no schema yet: run callbox migrate'
  const applied = await knex(migrationsTable).whereIn('name', known).pluck('name')
  const missing = known.filter((name) => !applied.includes(name))
  return missing.length === 0 ? null : `the database lacks ${missing.join(', ')}: run callbox migrate`
}
