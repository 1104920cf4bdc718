import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import type { BenchDatabase } from '../harness/database.ts'
import { drain, showDrained } from '../harness/drain.ts'
import { type Latency, measureLatency, showLatency } from '../harness/latency.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import type { ReceivingEndpoint } from '../harness/receiver.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'

const deadBusiness = 1_000
const sides = ['without', 'refusing', 'hanging'] as const
type Side = (typeof sides)[number]

/** A backlog of one business whose endpoint is dead, in either way of being dead, and how the 100 others fare. */
export async function measureDeadEndpoint(bench: Bench): Promise<Figure[]> {
  const waiting = bench.quick ? 100_000 : 1_000_000
  return withEndpoint(bench, { hangs: true }, (hanging) =>
    withDatabase(bench, (clear) =>
      withDatabase(bench, async (burdened) => {
        const refusing = await bench.receiver.open()
        await refusing.close()
        await putBusinesses(burdened, [deadBusiness], refusing.url)
        bench.progress.say(`dead endpoint: writing ${waiting.toLocaleString('en')} rows that wait for it`)
        await fillOutbox(burdened, [deadBusiness], waiting, 'dead')
        await burdened.settleDown()
        const urls = { refusing: refusing.url, hanging: hanging.url }
        const prepare = async (side: Side): Promise<BenchDatabase> => {
          const database = side === 'without' ? clear : burdened
          await database.freeSlots()
          if (side !== 'without') await startAnew(burdened, urls[side])
          return database
        }
        return [...(await throughputOfTheRest(bench, prepare)), ...(await latencyOfTheRest(bench, prepare))]
      }),
    ),
  )
}

async function throughputOfTheRest(bench: Bench, prepare: (side: Side) => Promise<BenchDatabase>): Promise<Figure[]> {
  const rowsEach = bench.quick ? 250 : 1_000
  let fills = 0
  const run = async (side: Side) =>
    withEndpoint(bench, {}, async (endpoint) => {
      const database = await prepare(side)
      await putHealthy(database, endpoint)
      fills += 1
      await fillOutbox(database, businesses, rowsEach, `rest ${fills}`)
      await database.settleDown()
      return drain(bench, database, endpoint, businesses)
    })
  const measured = await alternate(bench, 'dead endpoint, throughput', eachSide(run), showDrained)
  const rate = (side: Side): number[] => measured[side].map(({ deliveriesPerSecond }) => deliveriesPerSecond)
  const memory = [...measured.refusing, ...measured.hanging].map(({ peakResidentMb }) => peakResidentMb)
  return [
    ...(['refusing', 'hanging'] as const).map(
      (side): Figure => ({
        title: `backlog of a dead endpoint (${side}): throughput of the rest / without it`,
        unit: '×',
        goal: { is: 'at least', value: 0.9 },
        values: ratios(rate(side), rate('without')),
      }),
    ),
    { title: 'resident memory with that backlog', unit: 'MB', goal: { is: 'at most', value: 250 }, values: memory },
  ]
}

async function latencyOfTheRest(bench: Bench, prepare: (side: Side) => Promise<BenchDatabase>): Promise<Figure[]> {
  const run = async (side: Side): Promise<Latency> =>
    withEndpoint(bench, { records: true }, async (endpoint) => {
      const database = await prepare(side)
      await putHealthy(database, endpoint)
      const load = { businesses, eventsPerSecond: 200, seconds: bench.quick ? 4 : 10 }
      return measureLatency(bench, database, endpoint, load)
    })
  const measured = await alternate(bench, 'dead endpoint, latency at 200/s', eachSide(run), showLatency)
  const p99 = (side: Side): number[] => measured[side].map((latency) => latency.p99)
  return (['refusing', 'hanging'] as const).map((side) => ({
    title: `the same (${side}): p99 of the rest at 200/s / without it`,
    unit: '×',
    goal: { is: 'at most', value: 2 },
    values: ratios(p99(side), p99('without')),
  }))
}

function eachSide<T>(run: (side: Side) => Promise<T>): Record<Side, () => Promise<T>> {
  return { without: () => run('without'), refusing: () => run('refusing'), hanging: () => run('hanging') }
}

async function putHealthy(database: BenchDatabase, endpoint: ReceivingEndpoint): Promise<void> {
  await database.pool.query('delete from callbox.businesses where business_id = any($1::bigint[])', [businesses])
  await database.pool.query('delete from callbox.routes where business_id = any($1::bigint[])', [businesses])
  await putBusinesses(database, businesses, endpoint.url)
}

/** The dead endpoint's route as if nobody had ever sent on it, and all its rows due. */
async function startAnew(database: BenchDatabase, url: string): Promise<void> {
  const { pool } = database
  await pool.query('update callbox.businesses set inbound_webhook_url = $2 where business_id = $1', [deadBusiness, url])
  await pool.query('delete from callbox.routes where business_id = $1', [deadBusiness])
  await pool.query(`insert into callbox.routes (business_id, direction) values ($1, 'inbound'), ($1, 'outbound')`, [
    deadBusiness,
  ])
  await pool.query(`update callbox.webhook_due set due_at = now(), step = 0 where business_id = $1 and step > 0`, [
    deadBusiness,
  ])
}
