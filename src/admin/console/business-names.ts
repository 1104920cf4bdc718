import type { Knex } from 'knex'

/** What businesses are called, for pages that name them by their ids. `''`: it has no name, or there is no such business. */
export async function businessNames(knex: Knex, ids: readonly string[]): Promise<(id: string) => string> {
  const rows = await knex('callbox.businesses')
    .whereIn('business_id', [...new Set(ids)])
    .select<{ business_id: string; name: string }[]>('business_id', 'name')
  const names = new Map(rows.map((row) => [row.business_id, row.name]))
  return (id) => names.get(id) ?? ''
}
