import type pg from 'pg'
import { eventually } from './eventually.ts'

export interface DeliveryRow {
  id: string
  status: string
  reason: string | null
  version: number
  attempt_count: number
  step: number
  due_in_ms: number
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
    `select id, status, reason, version, attempt_count, step,
            (extract(epoch from due_at - clock_timestamp()) * 1000)::float8 as due_in_ms
     from webhook_outbox where id = $1`,
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
