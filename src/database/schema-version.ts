import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Knex } from 'knex'

export const migrationsDirectory = fileURLToPath(new URL('../../migrations', import.meta.url))
/** Where knex notes which of them have been applied. */
export const migrationsTable = 'callbox_migrations'

const knownMigrations = (): string[] => readdirSync(migrationsDirectory).filter((file) => file.endsWith('.ts'))

/** `null`: none, not even their table. */
async function appliedMigrations(knex: Knex): Promise<string[] | null> {
  const { rows } = await knex.raw<{ rows: { present: boolean }[] }>(
    `select to_regclass('callbox.${migrationsTable}') is not null as present`,
  )
  return rows[0]?.present === true ? knex(`callbox.${migrationsTable}`).orderBy('id').pluck('name') : null
}

/** Those that another version of Callbox has applied. */
export async function unknownMigrations(knex: Knex): Promise<string[]> {
  const known = knownMigrations()
  return ((await appliedMigrations(knex)) ?? []).filter((name) => !known.includes(name))
}

/** `null` when every migration that this version knows is applied; else a sentence that says what is missing. */
export async function missingMigrations(knex: Knex): Promise<string | null> {
  const applied = await appliedMigrations(knex)
  if (applied === null) return 'the database has no schema yet: run callbox migrate'
  const missing = knownMigrations().filter((name) => !applied.includes(name))
  return missing.length === 0 ? null : `the database lacks ${missing.join(', ')}: run callbox migrate`
}
