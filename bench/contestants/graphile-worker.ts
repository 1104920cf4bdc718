import { businesses } from '../harness/businesses.ts'
import { Child } from '../harness/child.ts'
import { payload } from '../harness/payload.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import type { Run } from './contestants.ts'
import type { GraphileMethods } from './graphile-worker-process.ts'
import { rateOfPeer } from './rate.ts'

const addJobs = `
  select count(*) from graphile_worker.add_jobs((
    select array_agg(json_populate_record(null::graphile_worker.job_spec, json_build_object(
      'identifier', 'post',
      'payload', json_build_object('business_id', b, 'url', $3 || '/' || b, 'event', $4::json)
    )))
    from generate_series(1, $2::integer) as n cross join unnest($1::bigint[]) as b
  ))`

const jobsLeft = 'select count(*)::integer as n from graphile_worker.jobs'

export const graphileRun =
  ({ tuned }: { tuned: boolean }): Run =>
  (bench, rowsEach) =>
    withEndpoint(bench, {}, (endpoint) =>
      withDatabase(bench, async (database) => {
        const child = new Child<GraphileMethods>('contestants/graphile-worker-process.ts')
        try {
          await child.call('migrate', { databaseUrl: database.url })
          await database.pool.query(addJobs, [businesses, rowsEach, endpoint.url, payload])
          await database.settleDown()
          await child.call('start', { databaseUrl: database.url, tuned })
          const raced = await rateOfPeer(bench, database, endpoint, child, rowsEach * businesses.length, jobsLeft)
          await child.call('stop', null)
          return raced
        } finally {
          await child.stop()
        }
      }),
    )
