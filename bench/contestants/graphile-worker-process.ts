/** graphile-worker with a task that posts and records an attempt. */
import { Logger, type Runner, run, runMigrations } from 'graphile-worker'
import pg from 'pg'
import { ownCpuMs, serve } from '../harness/child.ts'
import { attemptParameters, recordAttempts } from './attempt.ts'
import { post } from './post.ts'

export interface GraphileJob {
  business_id: number
  url: string
  event: unknown
}

export type GraphileMethods = {
  migrate(argument: { databaseUrl: string }): Promise<void>
  start(argument: { databaseUrl: string; tuned: boolean }): Promise<void>
  cpuMs(argument: null): number
  stop(argument: null): Promise<void>
}

const logger = new Logger(() => () => undefined)
let runner: Runner | null = null

serve<GraphileMethods>({
  migrate: ({ databaseUrl }) => runMigrations({ connectionString: databaseUrl, preset: { worker: { logger } } }),

  async start({ databaseUrl, tuned }) {
    const pool = new pg.Pool({ connectionString: databaseUrl, max: 20 })
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
    runner = await run({
      pgPool: pool,
      noHandleSignals: true,
      preset: {
        worker: tuned
          ? { logger, concurrentJobs: 64, localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
          : { logger, concurrentJobs: 32 },
      },
      taskList: {
        async post(job) {
          const { business_id: businessId, url, event } = job as GraphileJob
          const answered = await post(url, JSON.stringify(event))
          await pool.query({ ...recordAttempts, values: attemptParameters([{ ...answered, businessId, url }]) })
        },
      },
    })
  },

  cpuMs: ownCpuMs,

  async stop() {
    await runner?.stop()
  },
})
