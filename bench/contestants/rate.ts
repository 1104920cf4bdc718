import { monotonicMs } from '../harness/clock.ts'
import type { BenchDatabase } from '../harness/database.ts'
import type { ReceivingEndpoint } from '../harness/receiver.ts'
import { until } from '../harness/until.ts'

const longestTailMs = 60_000

export const rateBetween = (count: number, firstMs: number, endMs: number): number => (count * 1000) / (endMs - firstMs)

/**
 * Times a peer from the first POST until no job is left, with an attempt on record for each.
 *
 * @param jobsLeft a query with one row and its column `n`.
 */
export async function rateOfPeer(
  database: BenchDatabase,
  endpoint: ReceivingEndpoint,
  count: number,
  jobsLeft: string,
): Promise<number> {
  const { firstMs } = await endpoint.until(count)
  const numberOf = async (query: string): Promise<number | undefined> =>
    (await database.pool.query<{ n: number }>(query)).rows[0]?.n
  const endMs = await until(
    'no job is left',
    longestTailMs,
    async () => (await numberOf(jobsLeft)) === 0 && monotonicMs(),
  )
  const attempts = await numberOf('select count(*)::integer as n from webhook_attempts')
  if (attempts !== count) throw new Error(`of ${count}: ${attempts} attempts on record`)
  return rateBetween(count, firstMs, endMs)
}
