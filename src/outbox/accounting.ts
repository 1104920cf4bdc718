import type { Knex } from 'knex'
import { placeTime, type TimePlace } from '../database/time-place.ts'
import type { DeliveryKey } from './deliveries.ts'

/*
 * Every event is accounted for: it has a due row, a dead letter, or a successful attempt, or retention took its attempts
 * with its payload. One statement sees a single snapshot, and each of those rows is written in the transaction that makes
 * it true, so an event that has none is lost to the dispatchers, as after a manual change or a partial restore.
 */

const pageSize = 5_000

/** The result of examining a page of events, oldest first. */
interface Page {
  examined: number
  unaccounted: DeliveryKey[]
  /** The last event that was examined; `null`: there was none. */
  reached: TimePlace | null
}

const isUnaccounted = `o.payload is not null
  and not exists (select from callbox.webhook_due d where d.business_id = o.business_id and d.id = o.id)
  and not exists (select from callbox.webhook_dead_letters l where l.business_id = o.business_id and l.id = o.id)
  and not exists (
    select from callbox.webhook_attempts a
    where a.business_id = o.business_id and a.delivery_id = o.id and a.result = 'ok')`

const examine = `
  with page as materialized (
    select business_id, id, created_at
    from callbox.webhook_outbox
    where (created_at, id) > (:at::timestamptz, :id::uuid)
    order by created_at, id
    limit ${pageSize}
  )
  select
    (select count(*)::integer from page) as examined,
    (select coalesce(json_agg(json_build_object('businessId', o.business_id::text, 'id', o.id)), '[]')
     from page p
     join callbox.webhook_outbox o on o.business_id = p.business_id and o.id = p.id
     where ${isUnaccounted}) as unaccounted,
    (select json_build_object('createdAt', place_time, 'id', id)
     from (select ${placeTime('created_at')}, id from page order by created_at desc, id desc limit 1) last) as reached`

const beforeAllIds = '00000000-0000-0000-0000-000000000000'
const beforeAll: TimePlace = { createdAt: '-infinity', id: beforeAllIds }

/**
 * Examines all events, page by page.
 *
 * @param since RFC 3339; `null`: from the first one.
 * @param onPage called after each page; resolves before the next one is read.
 */
export async function findUnaccounted(
  knex: Knex,
  since: string | null,
  onPage: (page: Page) => Promise<void>,
): Promise<void> {
  let from: TimePlace = since === null ? beforeAll : { createdAt: since, id: beforeAllIds }
  for (;;) {
    const { rows } = await knex.raw<{ rows: Page[] }>(examine, { at: from.createdAt, id: from.id })
    const [page] = rows
    if (page === undefined) throw new Error('events were examined without an answer')
    await onPage(page)
    if (page.examined < pageSize || page.reached === null) return
    from = page.reached
  }
}

/** Remembers events that are unaccounted for, so that the metric shows them until they are put back. */
export async function rememberUnaccounted(knex: Knex, keys: readonly DeliveryKey[]): Promise<void> {
  if (keys.length === 0) return
  await knex('callbox.webhook_unaccounted')
    .insert(keys.map(({ businessId, id }) => ({ business_id: businessId, id })))
    .onConflict(['business_id', 'id'])
    .ignore()
}

/** Forgets events that are accounted for by now. */
export async function forgetAccounted(knex: Knex): Promise<void> {
  await knex.raw(`
    delete from callbox.webhook_unaccounted u
    where not exists (
      select from callbox.webhook_outbox o
      where o.business_id = u.business_id and o.id = u.id and ${isUnaccounted})`)
}
