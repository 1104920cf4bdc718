import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { putBusiness } from './businesses.ts'
import { enqueue, setDeliveries } from './outbox.ts'

type Database = { pool: pg.Pool }

/** A text that would show in every place that forgets to escape, and one from right to left. */
export const hostile = `"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;`
export const hebrew = 'שיחה על דירה בתל אביב, 4 חדרים'

/** An installation in which something is going on: for pages to be looked at. */
export async function fillForConsole(database: Database): Promise<void> {
  const { pool } = database
  const url = (path: string): string => `https://n8n.example.com/webhook/${path}`
  await putBusiness(database, '10', { inbound: url('5b2f6c1e-calls-in'), outbound: url('5b2f6c1e-calls-out') })
  await putBusiness(database, '20', { generic: 'https://hooks.zapier.com/hooks/catch/1234567/abcdefg/' })
  await putBusiness(database, '31', { inbound: url('gone'), outbound: url('gone-too') })
  await putBusiness(database, '9223372036854775807', {})
  const names = { 10: 'Ten Realty', 20: 'נדל״ן הצפון בע״מ', 31: hostile }
  for (const [id, name] of Object.entries(names)) {
    await pool.query('update businesses set name = $2, language = $3 where business_id = $1', [id, name, 'he'])
  }
  await pool.query(
    `insert into phone_numbers values ('+972501112222', 10), ('+972501113333', 10), ('+972541234567', 20)`,
  )

  for (let n = 0; n < 140; n++) {
    const business = ['10', '10', '20', '31'][n % 4] ?? '10'
    const direction = n % 3 === 0 && business !== '20' ? 'outbound' : 'inbound'
    const payload = JSON.stringify({ call_id: `CA${n}`, summary: hebrew, city: 'תל אביב', note: hostile })
    await enqueue(database, business, `CA${String(n).padStart(32, '0')}`, direction, payload)
  }
  const { rows } = await pool.query<{ id: string; business_id: string; n: number }>(
    `select id, business_id, row_number() over (partition by business_id = 31 order by call_sid)::int as n
     from webhook_deliveries`,
  )
  for (const { id, business_id: business, n } of rows) {
    const times = {
      finished_at: `now() - interval '${n * 20} seconds'`,
      created_at: `now() - interval '${n * 22} seconds'`,
    }
    if (business === '31') {
      if (n % 3 !== 0) continue
      const failed = { status: 'failed', reason: 'HTTP 500 after 8 attempts', attempt_count: 8 } as const
      await setDeliveries(database, 'id = $1', [id], { ...failed, ...times })
    } else if (n % 8 !== 0) {
      await setDeliveries(database, 'id = $1', [id], { status: 'delivered', attempt_count: 1 + (n % 2), ...times })
    }
  }
  await pool.query(
    `insert into webhook_attempts
       (business_id, delivery_id, id, number, started_at, duration_ms, url, result, status_code, error, response_excerpt)
     select business_id, id, gen_random_uuid(), n, coalesce(finished_at, now()) - (attempt_count - n) * interval '5 minutes',
            40 + (hashtext(id::text || n) & 1023), 'https://n8n.example.com/webhook/5b2f6c1e-calls-in',
            'http_error', 500, 'HTTP 500', convert_to($1, 'UTF8')
     from webhook_deliveries, lateral generate_series(1, attempt_count - (status = 'delivered')::int) n`,
    [`{"message":${JSON.stringify(hostile)}}\n`.repeat(20)],
  )
  const trouble = (business: number, direction: string, set: string, reason: string): Promise<unknown> =>
    pool.query(`update routes set ${set}, state_reason = $3 where business_id = $1 and direction = $2`, [
      business,
      direction,
      reason,
    ])
  const failing = `state = 'failing', probes = 4, probe_at = now() + interval '70 seconds', state_since = now() - interval '25 minutes',
                   failing_since = now() - interval '31 minutes'`
  await trouble(31, 'inbound', failing, `HTTP 500: ${hostile}`)
  await trouble(
    31,
    'outbound',
    `state = 'parked', state_since = now() - interval '2 days'`,
    'the endpoint answered 410 Gone',
  )
  await trouble(20, 'outbound', `state = 'parked', state_since = now() - interval '3 hours'`, 'בעל העסק ביקש להפסיק')

  await fillCalls(pool)
  for (const [host, slots] of [
    ['callbox-dispatcher-1', 22],
    ['callbox-dispatcher-2', 21],
    ['callbox-dispatcher-3', 21],
  ] as const) {
    const id = randomUUID()
    await pool.query(`insert into dispatchers (id, host, started_at) values ($1, $2, now() - interval '3 hours')`, [
      id,
      host,
    ])
    await pool.query(
      `update slots set owner = $1 where slot in (select slot from slots where owner is null order by slot limit $2)`,
      [id, slots],
    )
  }
}

async function fillCalls(pool: pg.Pool): Promise<void> {
  await pool.query(
    `insert into calls (business_id, call_sid, direction, from_number, to_number, state, error, started_at, ended_at,
                        duration_sec, transcript, summary, city, service_category, completed_at, failed_at, created_at)
     select 10, 'CA' || lpad(n::text, 32, '0'), case when n % 3 = 0 then 'outbound' else 'inbound' end,
            '+972501234567', '+972501112222',
            (array['completed', 'completed', 'completed', 'processing', 'queued', 'failed', 'open'])[1 + n % 7],
            case when n % 7 = 5 then 'the transcription service answered 400: ' || $2 end,
            now() - n * interval '7 minutes', now() - n * interval '7 minutes' + interval '95 seconds', 95,
            $1, $1, 'תל אביב', 'sale',
            case when n % 7 < 3 then now() - n * interval '7 minutes' + interval '2 minutes' end,
            case when n % 7 = 5 then now() - n * interval '7 minutes' + interval '9 minutes' end,
            now() - n * interval '7 minutes'
     from generate_series(0, 69) n`,
    [hebrew, hostile],
  )
  await pool.query(
    `insert into call_steps (business_id, call_sid, step, attempts, started_at, finished_at, error)
     select business_id, call_sid, step, case when state = 'failed' and step = 'transcript' then 5 else 1 end,
            created_at + i * interval '3 seconds',
            case when state = 'completed' or i < 2 then created_at + i * interval '3 seconds' + interval '1900 ms' end,
            case when state = 'failed' and step = 'transcript' then $1 end
     from calls, lateral unnest(array['audio', 'transcript', 'summary', 'extraction', 'completion']) with ordinality s (step, i)
     where state in ('completed') or (state in ('processing', 'failed') and i <= 2)`,
    [`400 ${hostile}`],
  )
  await pool.query(
    `insert into twilio_callbacks (kind, call_sid, from_number, to_number, query, body, state, reason, received_at)
     select 'recording_status', 'CAunmatched' || n, '+15550000001', '+15550000002', '', $1, 'unmatched',
            'no business has the number that was called', now() - n * interval '11 minutes'
     from generate_series(1, 3) n`,
    [`RecordingSid=${hostile}`],
  )
}
