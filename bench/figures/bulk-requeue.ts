import { z } from 'zod'
import { ApiProcess } from '../harness/api-process.ts'
import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import { DispatcherProcess } from '../harness/dispatcher-process.ts'
import { fillDeadLetters } from '../harness/outbox-rows.ts'
import { perSecond } from '../harness/progress.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate } from '../harness/rounds.ts'
import { until } from '../harness/until.ts'

const maxMs = 900_000
const requeue = z.object({ id: z.string(), state: z.string(), requeued: z.number() })

interface Requeued {
  minutes: number
  /** POSTs during the requeue. */
  postsPerSecond: number
}

const show = ({ minutes, postsPerSecond }: Requeued): string =>
  `${(minutes * 60).toFixed(1)} s, ${perSecond(postsPerSecond)} delivered meanwhile`

/** One order that requeues all dead letters, while a dispatcher delivers what it has made due. */
export async function measureBulkRequeue(bench: Bench): Promise<Figure[]> {
  const count = bench.quick ? 20_000 : 1_000_000
  const { requeue: measured } = await alternate(bench, 'bulk requeue', { requeue: () => run(bench, count) }, show)
  const title = `bulk requeue of ${count.toLocaleString('en')} dead letters`
  return [
    {
      title: `${title} with deliveries going on`,
      unit: 'min',
      goal: { is: 'at most', value: 5 },
      values: measured.map(({ minutes }) => minutes),
    },
    { title: 'deliveries meanwhile', unit: '/s', goal: null, values: measured.map((one) => one.postsPerSecond) },
  ]
}

function run(bench: Bench, count: number): Promise<Requeued> {
  return withEndpoint(bench, {}, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      await fillDeadLetters(database, businesses, count / businesses.length)
      await database.settleDown()
      const api = new ApiProcess(database, bench.profileInto)
      const dispatcher = new DispatcherProcess(database, bench.profileInto)
      try {
        await Promise.all([api.untilReady(), dispatcher.figures()])
        const begunMs = performance.now()
        const { id } = requeue.parse(await api.ask('POST', '/requeues', { status: 'failed' }))
        const ended = await until('the requeue ends', maxMs, async () => {
          const now = requeue.parse(await api.ask('GET', `/requeues/${id}`))
          return now.state !== 'running' && now
        })
        const seconds = (performance.now() - begunMs) / 1_000
        if (ended.state !== 'done' || ended.requeued !== count) {
          throw new Error(`of ${count}: ${ended.requeued} requeued, then ${ended.state}`)
        }
        return { minutes: seconds / 60, postsPerSecond: (await endpoint.look()).count / seconds }
      } finally {
        await Promise.all([api.stop(), dispatcher.stop()])
      }
    }),
  )
}
