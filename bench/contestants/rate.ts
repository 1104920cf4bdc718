import type { Bench } from '../harness/bench.ts'
import { monotonicMs } from '../harness/clock.ts'
import type { BenchDatabase } from '../harness/database.ts'
import type { ReceivingEndpoint } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'
import type { Raced } from './contestants.ts'

const maxTailMs = 60_000

export const rateBetween = (count: number, firstMs: number, endMs: number): number => (count * 1000) / (endMs - firstMs)

/** A peer's process, which reports its CPU time. */
interface Peer {
  call(method: 'cpuMs', argument: null): Promise<number>
}

/**
 * Times a peer from the first POST until no job is left, with an attempt on record for each.
 *
 * @param jobsLeft a query with one row and its column `n`.
 */
export async function rateOfPeer(
  bench: Bench,
  database: BenchDatabase,
  endpoint: ReceivingEndpoint,
  peer: Peer,
  count: number,
  jobsLeft: string,
): Promise<Raced> {
  const cpuMs = async (): Promise<number> => (await peer.call('cpuMs', null)) + (bench.server.cpuMs() ?? Number.NaN)
  await endpoint.until(1)
  const cpuBeforeMs = await cpuMs()
  const { firstMs } = await endpoint.until(count)
  const numberOf = async (query: string): Promise<number | undefined> =>
    (await database.pool.query<{ n: number }>(query)).rows[0]?.n
  const endMs = await until('no job is left', maxTailMs, async () => (await numberOf(jobsLeft)) === 0 && monotonicMs())
  const cpuUs = (((await cpuMs()) - cpuBeforeMs) * 1000) / count
  const attempts = await numberOf('select count(*)::integer as n from webhook_attempts')
  if (attempts !== count) throw new Error(`of ${count}: ${attempts} attempts on record`)
  return { deliveriesPerSecond: rateBetween(count, firstMs, endMs), cpuUs: Number.isNaN(cpuUs) ? null : cpuUs }
}
