import { businesses, putBusinesses } from '../harness/businesses.ts'
import { drain } from '../harness/drain.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import type { Run } from './contestants.ts'

export const callboxRun =
  ({ dispatchers }: { dispatchers: number }): Run =>
  (bench, rowsEach) =>
    withEndpoint(bench, {}, (endpoint) =>
      withDatabase(bench, async (database) => {
        await putBusinesses(database, businesses, endpoint.url)
        await fillOutbox(database, businesses, rowsEach, 'backlog')
        await database.settleDown()
        const drained = await drain(bench, database, endpoint, businesses, { dispatchers })
        const { deliveriesPerSecond, dispatcherCpuUs, postgresCpuUs } = drained
        return { deliveriesPerSecond, cpuUs: postgresCpuUs === null ? null : dispatcherCpuUs + postgresCpuUs }
      }),
    )
