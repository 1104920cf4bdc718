import { ApiProcess } from '../harness/api-process.ts'
import type { Bench, Figure } from '../harness/bench.ts'
import { firstBusinesses, putBusinesses } from '../harness/businesses.ts'
import type { BenchDatabase } from '../harness/database.ts'
import { fillEvents } from '../harness/many-events.ts'
import { withDatabase } from '../harness/rooms.ts'
import { median } from '../harness/statistics.ts'

const businessCount = 1_000
const requestsEach = 11

/** `GET /admin/deliveries` with 10 million events, by each of its filters; filling takes minutes. */
export async function measureLists(bench: Bench): Promise<Figure[]> {
  const count = bench.quick ? 200_000 : 10_000_000
  return withDatabase(bench, async (database) => {
    await putBusinesses(database, firstBusinesses(businessCount), 'http://127.0.0.1:9')
    await fillEvents(database, businessCount, count, (text) => bench.progress.say(`lists: ${text}`))
    await database.settleDown()
    const api = new ApiProcess(database, bench.profileInto)
    try {
      await api.untilReady()
      const figures: Figure[] = []
      for (const [title, filter] of Object.entries(await filters(database, count))) {
        const values = await rounds(bench, api, filter)
        bench.progress.say(`lists: ${title} ${values.map((ms) => ms.toFixed(1)).join(', ')} ms`)
        figures.push({
          title: `list of 50 of ${count.toLocaleString('en')} events, ${title}`,
          unit: 'ms',
          goal: { is: 'at most', value: 50 },
          values,
        })
      }
      return figures
    } finally {
      await api.stop()
    }
  })
}

async function filters(database: BenchDatabase, count: number): Promise<Record<string, Record<string, string>>> {
  const { rows } = await database.pool.query<{ call_sid: string; since: Date; until: Date }>(
    `select 'CA' || md5($1::text) as call_sid, now() - interval '200 days' as since, now() - interval '199 days' as until`,
    [Math.floor(count / 3)],
  )
  const { call_sid: callSid = '', since = new Date(), until = new Date() } = rows[0] ?? {}
  const days = { since: since.toISOString(), until: until.toISOString() }
  return {
    'no filter': {},
    ...Object.fromEntries(
      ['pending', 'delivered', 'failed', 'skipped'].map((status) => [`status ${status}`, { status }]),
    ),
    'one business': { business_id: '7' },
    'one direction': { direction: 'outbound' },
    'the usual event type': { event_type: 'call.completed' },
    'a rare event type': { event_type: 'call.rare' },
    'an event type that there is not': { event_type: 'call.none' },
    'one call': { call_sid: callSid },
    'one day': days,
    'failed of one day': { status: 'failed', ...days },
    'failed of one business': { status: 'failed', business_id: '7' },
    'pending of one business': { status: 'pending', business_id: '502' },
    'outbound of one business': { direction: 'outbound', business_id: '3' },
    'pending with a rare event type': { status: 'pending', event_type: 'call.rare' },
  }
}

/** Each round's median of eleven requests. */
async function rounds(bench: Bench, api: ApiProcess, filter: Record<string, string>): Promise<number[]> {
  const path = `/deliveries?${new URLSearchParams({ limit: '50', ...filter })}`
  await api.ask('GET', path)
  const values: number[] = []
  for (let round = 0; round < bench.rounds; round += 1) {
    const times: number[] = []
    for (let request = 0; request < requestsEach; request += 1) {
      const begunMs = performance.now()
      await api.ask('GET', path)
      times.push(performance.now() - begunMs)
    }
    values.push(median(times))
  }
  return values
}
