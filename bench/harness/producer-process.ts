/**
 * A program that has calls to tell of at a steady rate. Each goes into the outbox in a transaction of its own; at rates
 * where several are due within a millisecond, those share one. The hint follows the commit, as it does in the pipeline.
 */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { HintSender } from '../../src/database/hints.ts'
import { defaultSchema } from '../../src/database/schema.ts'
import { serve } from './child.ts'
import { monotonicMs } from './clock.ts'
import { payload } from './payload.ts'
import type { Produced, ProducerMethods, Production } from './producer.ts'

const connections = 8
const mostInOne = 50

serve<ProducerMethods>({
  async produce({ databaseUrl, businesses, eventsPerSecond, seconds }: Production) {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: connections })
    const hints = new HintSender(pool, defaultSchema)
    await Promise.all(Array.from({ length: connections }, () => pool.query('select pg_sleep(0.05)')))

    const produced: Produced = { ids: [], committedMs: [] }
    const total = Math.round(eventsPerSecond * seconds)
    const commits = new Set<Promise<void>>()
    const beginMs = performance.now()
    let begun = 0
    const commit = async (count: number): Promise<void> => {
      const chosen = Array.from({ length: count }, (_, index) => businesses[(begun + index) % businesses.length] ?? 1)
      begun += count
      const { ids, committedMs } = await enqueue(pool, chosen)
      for (const business of chosen) hints.hint(String(business), 'inbound')
      for (const id of ids) {
        produced.ids.push(id)
        produced.committedMs.push(committedMs)
      }
    }
    while (begun < total) {
      const due = Math.min(total, Math.floor(((performance.now() - beginMs) * eventsPerSecond) / 1000)) - begun
      if (due > 0 && commits.size < connections) {
        const committing: Promise<void> = commit(Math.min(due, mostInOne)).finally(() => commits.delete(committing))
        commits.add(committing)
      } else await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await Promise.all(commits)
    await hints.flush()
    await pool.end()
    return produced
  },
})

async function enqueue(pool: pg.Pool, businesses: number[]): Promise<{ ids: string[]; committedMs: number }> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const { rows } = await client.query<{ id: string }>({
      name: 'enqueue',
      text: `select callbox.callbox_enqueue(business_id, call_sid, 'call.completed', 'inbound', $3::json) as id
             from unnest($1::bigint[], $2::text[]) as e (business_id, call_sid)`,
      values: [businesses, businesses.map(() => `CA${randomUUID().replaceAll('-', '')}`), payload],
    })
    await client.query('commit')
    return { ids: rows.map(({ id }) => id), committedMs: monotonicMs() }
  } finally {
    client.release()
  }
}
