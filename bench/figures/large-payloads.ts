import { randomBytes } from 'node:crypto'
import type { Bench, Figure } from '../harness/bench.ts'
import { firstBusinesses, putBusinesses } from '../harness/businesses.ts'
import { type Drained, drain, showDrained } from '../harness/drain.ts'
import { fillOutbox } from '../harness/outbox-rows.ts'
import type { EndpointOptions } from '../harness/receiver.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate } from '../harness/rounds.ts'

const businesses = firstBusinesses(10)
const stallMs = 8_000
/** The largest that `callbox_enqueue` takes: 1 MiB, and random, so that PostgreSQL cannot compress it. */
const body = JSON.stringify({ event_type: 'call.completed', transcript: randomBytes(785_000).toString('base64') })
const largest = body.replace('}', `,"padding":"${'.'.repeat(1024 * 1024 - body.length - 13)}"}`)

/** What a receiver that does not read leaves in the sender's memory. */
export async function measureLargePayloads(bench: Bench): Promise<Figure[]> {
  const sides = {
    'reads nothing': () => run(bench, 'reading nothing'),
    'reads slowly': () => run(bench, 'reading slowly'),
  }
  const measured = await alternate(bench, `payloads of 1 MiB, receiver stalls`, sides, showDrained)
  const rows = rowsEach(bench) * businesses.length
  return (['reads nothing', 'reads slowly'] as const).map((side) => ({
    title: `${rows} payloads of 1 MiB to a receiver that ${side} for 8 s: resident memory`,
    unit: 'MB',
    goal: { is: 'at most', value: 250 },
    values: measured[side].map(({ peakResidentMb }) => peakResidentMb),
  }))
}

const rowsEach = ({ quick }: Bench): number => (quick ? 10 : 50)

function run(bench: Bench, stalls: EndpointOptions['stalls']): Promise<Drained> {
  return withEndpoint(bench, { stalls, stallMs }, (endpoint) =>
    withDatabase(bench, async (database) => {
      await putBusinesses(database, businesses, endpoint.url)
      await fillOutbox(database, businesses, rowsEach(bench), 'large', ['inbound'], largest)
      await database.settleDown()
      return drain(bench, database, endpoint, businesses)
    }),
  )
}
