import type { Knex } from 'knex'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import { allOfWalk, isLastPage, pageSize, type Walk, walkPage, walkStart, walkValues } from './delivery-walk.ts'

export interface DeliveryCount {
  /** How many match, or an estimate. */
  count: number
  isExact: boolean
  /** Ids of the oldest few that match. */
  oldest: { businessId: string; id: string }[]
}

interface Bounds {
  /** Counted to here. */
  most: number
  /** And for this long, in milliseconds. */
  withinMs: number
}

interface PageRow {
  place_time: string | null
  place_id: string | null
  looked_at: number
  matched: number
  oldest: { business_id: string; id: string }[]
}

const examples = 5

const pageSql = (walk: Walk): string => `
  with ${walkPage(walk)}
  select
    (select ${placeTime('created_at')} from reached) as place_time,
    (select id from reached) as place_id,
    (select n from looked_at) as looked_at,
    (select count(*)::integer from matching) as matched,
    (select coalesce(json_agg(json_build_object('business_id', business_id::text, 'id', id)), '[]')
     from (select business_id, id from matching order by created_at, id limit ${examples}) first) as oldest`

/**
 * Counts what a walk will match, page by page as it will walk. Beyond the bounds the answer is the larger of what was
 * counted and PostgreSQL's own estimate.
 */
export async function countDeliveries(knex: Knex, walk: Walk, { most, withinMs }: Bounds): Promise<DeliveryCount> {
  const begun = performance.now()
  const oldest: DeliveryCount['oldest'] = []
  let count = 0
  let place: TimePlace | null = walkStart(walk)
  while (place !== null && count < most && performance.now() - begun < withinMs) {
    const page = await countPage(knex, walk, place)
    count += page.matched
    oldest.push(...page.oldest.map(({ business_id, id }) => ({ businessId: business_id, id })))
    const isLast =
      isLastPage(page.matched === pageSize, page.looked_at) || page.place_time === null || page.place_id === null
    place = isLast ? null : { createdAt: page.place_time ?? '', id: page.place_id ?? '' }
  }
  if (place === null) return { count, isExact: true, oldest: oldest.slice(0, examples) }
  return { count: Math.max(count, await estimate(knex, walk)), isExact: false, oldest: oldest.slice(0, examples) }
}

async function countPage(knex: Knex, walk: Walk, from: TimePlace): Promise<PageRow> {
  const { rows } = await knex.raw<{ rows: PageRow[] }>(pageSql(walk), walkValues(walk, from, pageSize))
  const [page] = rows
  if (page === undefined) throw new Error('deliveries were counted without an answer')
  return page
}

async function estimate(knex: Knex, walk: Walk): Promise<number> {
  const { rows } = await knex.raw<{ rows: { 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }[] }>(
    `explain (format json) ${allOfWalk(walk)}`,
    walkValues(walk, walkStart(walk), pageSize),
  )
  return rows[0]?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0
}
