import type pg from 'pg'
import { eventually } from './eventually.ts'

export interface DeliveryRow {
  id: string
  status: string
  reason: string | null
  attempt_count: number
  /** Of a pending one, like the next two. */
  version: number | null
  step: number | null
  due_in_ms: number | null
}

export interface AttemptRow {
  id: string
  number: number
  result: string
  status_code: number | null
  error: string | null
  response_excerpt: Buffer | null
  url: string
  duration_ms: number
}

/** A pool, or one client of it within a transaction. */
interface Pool {
  pool: Pick<pg.ClientBase, 'query'>
}

/** Enqueues one event as any program may, in a transaction of its own, and returns the delivery's id. */
export async function enqueue(
  { pool }: Pool,
  businessId: string,
  callSid: string,
  direction = 'inbound',
  payload = `{"call_id":"${callSid}"}`,
): Promise<string> {
  const values = [businessId, callSid, 'call.completed', direction, payload]
  const { rows } = await pool.query('select callbox_enqueue($1, $2, $3, $4, $5) as id', values)
  return rows[0].id
}

export async function deliveryOf({ pool }: Pool, id: string): Promise<DeliveryRow> {
  const { rows } = await pool.query<DeliveryRow>(
    `select id, status, reason, version::float8 as version, attempt_count::int as attempt_count, step,
            (extract(epoch from due_at - clock_timestamp()) * 1000)::float8 as due_in_ms
     from webhook_deliveries where id = $1`,
    [id],
  )
  const [row] = rows
  if (row === undefined) throw new Error(`no delivery ${id}`)
  return row
}

export async function attemptsOf({ pool }: Pool, id: string): Promise<AttemptRow[]> {
  const sql = 'select * from webhook_attempts where delivery_id = $1 order by number, started_at'
  return (await pool.query<AttemptRow>(sql, [id])).rows
}

export function untilStatus(database: Pool, id: string, status: string): Promise<DeliveryRow> {
  return eventually(`delivery ${id} is ${status}`, async () => {
    const row = await deliveryOf(database, id)
    return row.status === status && row
  })
}

/** What a test may set on deliveries, by the columns of `webhook_deliveries`; times are SQL or RFC 3339. */
export interface DeliveryState {
  status?: 'pending' | 'delivered' | 'failed' | 'skipped'
  reason?: string | null
  attempt_count?: number
  version?: number
  step?: number
  requeued?: boolean
  due_at?: string
  finished_at?: string
  created_at?: string
  /** Retention has taken payload and attempts. */
  emptied?: boolean
}

/**
 * Brings deliveries into a state, as dispatchers, operators and time would.
 *
 * @param where of `webhook_deliveries`, as SQL with values.
 */
export async function setDeliveries(
  { pool }: Pool,
  where: string,
  values: unknown[],
  state: DeliveryState,
): Promise<void> {
  const { rows } = await pool.query<{ business_id: string; id: string; status: string; attempt_count: number }>(
    `select business_id, id, status, attempt_count from webhook_deliveries where ${where}`,
    values,
  )
  const key = [rows.map((row) => row.business_id), rows.map((row) => row.id)]
  const ofKeys = 'from unnest($1::bigint[], $2::uuid[]) as k (business_id, id)'
  const moment = (text: string | undefined, fallback: string): string =>
    text === undefined ? fallback : /[()]/.test(text) ? text : `'${text}'::timestamptz`
  const { status, reason, attempt_count: attempts, version, step, requeued, due_at: due, finished_at: end } = state
  if (state.created_at !== undefined) {
    const createdAt = moment(state.created_at, '')
    for (const table of ['webhook_outbox', 'webhook_dead_letters']) {
      await pool.query(
        `update ${table} t set created_at = ${createdAt} ${ofKeys} where t.business_id = k.business_id and t.id = k.id`,
        key,
      )
    }
  }
  if (status !== undefined) {
    for (const table of ['webhook_due', 'webhook_dead_letters']) {
      await pool.query(
        `delete from ${table} t using (select k.* ${ofKeys}) k where t.business_id = k.business_id and t.id = k.id`,
        key,
      )
    }
    const counts = rows.map((row) => attempts ?? row.attempt_count)
    if (status === 'pending') {
      await pool.query(
        `insert into webhook_due (business_id, id, direction, bytes, attempt_count)
         select o.business_id, o.id, o.direction, octet_length(o.payload::text), k.attempt_count
         from unnest($1::bigint[], $2::uuid[], $3::int[]) as k (business_id, id, attempt_count)
         join webhook_outbox o using (business_id, id)`,
        [...key, counts],
      )
    } else if (status !== 'delivered') {
      await pool.query(
        `insert into webhook_dead_letters (business_id, id, status, reason, attempt_count, finished_at, direction, created_at)
         select o.business_id, o.id, $4, $5, k.attempt_count, ${moment(end, 'clock_timestamp()')}, o.direction, o.created_at
         from unnest($1::bigint[], $2::uuid[], $3::int[]) as k (business_id, id, attempt_count)
         join webhook_outbox o using (business_id, id)`,
        [...key, counts, status, reason ?? null],
      )
    }
  }
  if (status === 'delivered') {
    await pool.query(
      `insert into webhook_attempts (business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code)
       select business_id, id, gen_random_uuid(), ${attempts ?? 1}, ${moment(end, 'clock_timestamp()')}, 0, 'http://127.0.0.1/', 'ok', 200
       ${ofKeys}
       where not exists (
         select from webhook_attempts a
         where a.business_id = k.business_id and a.delivery_id = k.id and a.result = 'ok')`,
      key,
    )
  }
  const changes = [
    ...(due === undefined ? [] : [`due_at = ${moment(due, '')}`]),
    ...(version === undefined ? [] : [`version = ${version}`]),
    ...(step === undefined ? [] : [`step = ${step}`]),
    ...(attempts === undefined ? [] : [`attempt_count = ${attempts}`]),
    ...(requeued === undefined ? [] : [`requeued = ${requeued}`]),
  ]
  if (changes.length > 0) {
    await pool.query(
      `update webhook_due t set ${changes.join(', ')} ${ofKeys} where t.business_id = k.business_id and t.id = k.id`,
      key,
    )
  }
  if (state.emptied) {
    await pool.query(
      `update webhook_outbox t set payload = null ${ofKeys} where t.business_id = k.business_id and t.id = k.id`,
      key,
    )
    await pool.query(
      `delete from webhook_attempts t using (select k.* ${ofKeys}) k
       where t.business_id = k.business_id and t.delivery_id = k.id`,
      key,
    )
  }
}
