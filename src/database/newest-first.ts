import type { Knex } from 'knex'
import { placeTime, type TimePlace } from './time-place.ts'

/** One page of a list, and the place after which the next one begins; `null`: there is none. */
export interface Listing<Row> {
  rows: Row[]
  next: TimePlace | null
}

/** A table that may have ten million rows, with an index by `created_at` and its `id`. */
export interface BigTable<Row> {
  name: string
  id: string
  /** Those that a list reads. */
  columns: readonly string[]
  placeOf(row: Row): TimePlace
}

type Table = Omit<BigTable<never>, 'placeOf'>
type Equal = Record<string, string | undefined>

export interface Look {
  /** RFC 3339; `until` itself is not included. */
  since?: string | undefined
  until?: string | undefined
  /** The last of the page before. */
  after?: TimePlace | undefined
  /** What an index has in the order of the list. */
  ordered: Equal
  /** Another way to the rows, used when it leaves few of them; `null`: none. */
  narrow: Narrow | null
}

export interface Narrow {
  /** Where they are counted, by `equal`. */
  countedIn: string
  /** Where they are read: a table or a parenthesized query, with the columns of the list. */
  from: string
  equal: Equal
  /** The columns of the index that counts them: without an order a whole table may be read for a common value. */
  indexOrder?: string
}

/** How many rows a page examines before it returns a place to continue (bench/NOTES.md, "lists"). */
const maxLookedAt = 10_000
/** Up to this many rows are sorted instead of searched for. */
const maxSorted = 5_000

/**
 * A page of a list, newest first, whose cost is bounded whatever is looked for. PostgreSQL's own choice is not: it
 * expects that rows of a kind lie evenly in the table, and reads millions of others when they do not.
 *
 * A page may so have fewer rows than `limit`, or none, and a next one.
 *
 * @param pick reads up to `limit` rows that match, in the order of the list, from what it is given: that has the table's
 *   columns.
 */
export async function listNewest<Row>(
  knex: Knex,
  table: BigTable<Row>,
  look: Look,
  limit: number,
  pick: (from: Knex.QueryBuilder, limit: number) => PromiseLike<Row[]>,
): Promise<Listing<Row>> {
  const { narrow } = look
  const isSorted = narrow !== null && (await isFew(knex, narrow))
  const newest = bounded(knex, table, table.name, look, look.ordered).orderByRaw(`created_at desc, ${table.id} desc`)
  const source = isSorted
    ? knex.withMaterialized('few', bounded(knex, table, narrow.from, look, narrow.equal)).from('few')
    : newest.clone().limit(maxLookedAt)
  const rows = await pick(source, limit + 1)
  const last = rows[limit - 1]
  if (rows.length > limit && last !== undefined) return { rows: rows.slice(0, limit), next: table.placeOf(last) }
  const next = isSorted ? null : await endOfLook(knex, table, newest)
  return { rows, next }
}

function bounded(
  knex: Knex,
  table: Table,
  from: string,
  { since, until, after }: Look,
  equal: Equal,
): Knex.QueryBuilder {
  const rows = knex.from(knex.raw(`${from} as listed`)).select(...table.columns)
  whereEqual(rows, equal)
  if (since !== undefined) rows.whereRaw('created_at >= ?::timestamptz', [since])
  if (until !== undefined) rows.whereRaw('created_at < ?::timestamptz', [until])
  if (after) rows.whereRaw(`(created_at, ${table.id}) < (?::timestamptz, ?)`, [after.createdAt, after.id])
  return rows
}

export function whereEqual(rows: Knex.QueryBuilder, equal: Equal): void {
  for (const [column, value] of Object.entries(equal)) {
    if (value !== undefined) rows.where(column, value)
  }
}

async function isFew(knex: Knex, { countedIn, equal, indexOrder }: Narrow): Promise<boolean> {
  const rows = knex(countedIn).select(knex.raw('1'))
  whereEqual(rows, equal)
  if (indexOrder !== undefined) rows.orderByRaw(indexOrder)
  const [counted] = await knex(rows.limit(maxSorted + 1).as('narrow')).count<{ count: string }[]>()
  return Number(counted?.count) <= maxSorted
}

/** `null`: the whole table has been looked through. */
async function endOfLook(knex: Knex, table: Table, newest: Knex.QueryBuilder): Promise<TimePlace | null> {
  const [end] = await newest
    .clearSelect()
    .select<{ place_time: string; place_id: string }[]>(
      knex.raw(placeTime('created_at')),
      knex.raw(`${table.id}::text as place_id`),
    )
    .offset(maxLookedAt - 1)
    .limit(1)
  return end === undefined ? null : { createdAt: end.place_time, id: end.place_id }
}
