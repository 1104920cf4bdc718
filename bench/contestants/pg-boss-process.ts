/** pg-boss with a handler that posts a batch and records its attempts in one statement. */
import pg from 'pg'
import { PgBoss } from 'pg-boss'
import { ownCpuMs, serve } from '../harness/child.ts'
import { payload } from '../harness/payload.ts'
import { attemptParameters, recordAttempts } from './attempt.ts'
import { post } from './post.ts'

interface BossJob {
  business_id: number
  url: string
  event: unknown
}

export type BossMethods = {
  /** Makes the queue and its jobs. */
  fill(argument: { databaseUrl: string; businesses: number[]; rowsEach: number; url: string }): Promise<void>
  /** @param argument.burst whether a worker whose batch was full fetches the next one at once. */
  start(argument: { databaseUrl: string; burst: boolean }): Promise<void>
  cpuMs(argument: null): number
  stop(argument: null): Promise<void>
}

const queue = 'post'
const batchSize = 200
const workers = 4
let running: { boss: PgBoss; pool: pg.Pool } | null = null

serve<BossMethods>({
  async fill({ databaseUrl, businesses, rowsEach, url }) {
    const boss = new PgBoss({ connectionString: databaseUrl, supervise: false, schedule: false })
    await boss.start()
    await boss.createQueue(queue)
    const event: unknown = JSON.parse(payload)
    for (let row = 0; row < rowsEach; row += 1) {
      const jobs = businesses.map((id) => ({ data: { business_id: id, url: `${url}/${id}`, event } satisfies BossJob }))
      await boss.insert(queue, jobs)
    }
    await boss.stop({ graceful: false })
  },

  async start({ databaseUrl, burst }) {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: workers })
    const boss = new PgBoss({ connectionString: databaseUrl })
    await boss.start()
    running = { boss, pool }
    const options = { batchSize, localConcurrency: workers, pollingIntervalSeconds: 0.5, burstWhenBatchFull: burst }
    await boss.work<BossJob>(queue, options, async (jobs) => {
      const attempts = await Promise.all(
        jobs.map(async ({ data: { business_id: businessId, url, event } }) => {
          const answered = await post(url, JSON.stringify(event))
          return { ...answered, businessId, url }
        }),
      )
      await pool.query({ ...recordAttempts, values: attemptParameters(attempts) })
    })
  },

  cpuMs: ownCpuMs,

  async stop() {
    await running?.boss.stop({ graceful: true })
    await running?.pool.end()
  },
})
