import { businesses } from '../harness/businesses.ts'
import { Child } from '../harness/child.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import type { Run } from './contestants.ts'
import type { BossMethods } from './pg-boss-process.ts'
import { rateOfPeer } from './rate.ts'

const jobsLeft = `select count(*)::integer as n from pgboss.job where name = 'post' and state < 'completed'`

export const bossRun =
  ({ burst }: { burst: boolean }): Run =>
  (bench, rowsEach) =>
    withEndpoint(bench, {}, (endpoint) =>
      withDatabase(bench, async (database) => {
        const child = new Child<BossMethods>('contestants/pg-boss-process.ts')
        try {
          await child.call('fill', { databaseUrl: database.url, businesses, rowsEach, url: endpoint.url })
          await database.settleDown()
          await child.call('start', { databaseUrl: database.url, burst })
          const raced = await rateOfPeer(bench, database, endpoint, child, rowsEach * businesses.length, jobsLeft)
          await child.call('stop', null)
          return raced
        } finally {
          await child.stop()
        }
      }),
    )
