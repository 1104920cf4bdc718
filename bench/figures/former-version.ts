import type { Bench, Figure } from '../harness/bench.ts'
import { businesses, putBusinesses } from '../harness/businesses.ts'
import { drain } from '../harness/drain.ts'
import { enqueueAll } from '../harness/enqueue-all.ts'
import { formerCommit, withFormerVersion } from '../harness/former-version.ts'
import { withDatabase, withEndpoint } from '../harness/rooms.ts'
import { alternate, ratios } from '../harness/rounds.ts'
import { thisVersion, type Version } from '../harness/version.ts'

interface Cost {
  /** PostgreSQL's CPU time for each delivery, from the enqueue to the settle, in microseconds. */
  cpuUs: number
  /** WAL for each delivery, in bytes: all of it, and what was written after the enqueue. */
  walBytes: number
  settleWalBytes: number
}

const show = ({ cpuUs, walBytes, settleWalBytes }: Cost): string =>
  `PostgreSQL ${cpuUs.toFixed(0)} µs, WAL ${walBytes.toFixed(0)} bytes, ${settleWalBytes.toFixed(0)} of them after the enqueue`

/** What a delivery costs PostgreSQL now and with the storage of one wide row, on one server. */
export async function measureFormerVersion(bench: Bench): Promise<Figure[]> {
  if (bench.server.cpuMs() === null) {
    bench.progress.say('former version: SKIPPED, since this system does not report the CPU time of PostgreSQL')
    return []
  }
  const figures = await withFormerVersion(async (former) => {
    const sides = { now: () => run(bench, thisVersion), former: () => run(bench, former) }
    const measured = await alternate(bench, `against ${formerCommit}`, sides, show)
    const ratio = (of: keyof Cost): number[] =>
      ratios(
        measured.now.map((cost) => cost[of]),
        measured.former.map((cost) => cost[of]),
      )
    const against = `/ ${formerCommit}`
    const all = 'enqueue to settled'
    return [
      { title: `PostgreSQL CPU, ${all} ${against}`, unit: '×', goal: atMost(0.5), values: ratio('cpuUs') },
      { title: `WAL, ${all} ${against}`, unit: '×', goal: atMost(0.6), values: ratio('walBytes') },
      { title: `WAL after the enqueue ${against}`, unit: '×', goal: null, values: ratio('settleWalBytes') },
    ]
  })
  if (figures === null) {
    bench.progress.say(
      `former version: SKIPPED, since commit ${formerCommit} is not in this clone (git fetch --unshallow)`,
    )
  }
  return figures ?? []
}

const atMost = (value: number) => ({ is: 'at most' as const, value })

/** No checkpoint between the enqueue and the settle: whole pages in the WAL would hide the rows. */
function run(bench: Bench, version: Version): Promise<Cost> {
  const use = (count: number) =>
    withEndpoint(bench, {}, (endpoint) =>
      withDatabase(
        bench,
        async (database) => {
          await putBusinesses(database, businesses, endpoint.url)
          await database.settleDown()
          const cpuBeforeMs = bench.server.cpuMs() ?? 0
          const walBefore = await bench.server.walBytes()
          await enqueueAll(database, businesses, count)
          const walEnqueued = await bench.server.walBytes()
          await drain(bench, database, endpoint, businesses)
          const walAfter = await bench.server.walBytes()
          return {
            cpuUs: (((bench.server.cpuMs() ?? 0) - cpuBeforeMs) * 1_000) / count,
            walBytes: (walAfter - walBefore) / count,
            settleWalBytes: (walAfter - walEnqueued) / count,
          }
        },
        version,
      ),
    )
  return use(bench.quick ? 20_000 : 100_000)
}
