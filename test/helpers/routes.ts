import type { TestDatabase } from './database.ts'
import { eventually } from './eventually.ts'

export interface RouteState {
  state: string
  reason: string | null
  since: Date | null
  probes: number
  probe_in_ms: number | null
  failing_for_ms: number | null
  version: number
}

type Pool = Pick<TestDatabase, 'pool'>

/** The health of a business's inbound route. */
export async function routeOf({ pool }: Pool, businessId: string): Promise<RouteState> {
  const { rows } = await pool.query<RouteState>(
    `select state, state_reason as reason, state_since as since, probes, health_version as version,
            (extract(epoch from probe_at - clock_timestamp()) * 1000)::float8 as probe_in_ms,
            (extract(epoch from clock_timestamp() - failing_since) * 1000)::float8 as failing_for_ms
     from routes where business_id = $1 and direction = 'inbound'`,
    [businessId],
  )
  const [row] = rows
  if (row === undefined) throw new Error(`no route ${businessId}`)
  return row
}

/** Changes the row of a business's inbound route as another writer would: `set` is SQL. */
export async function changeRoute({ pool }: Pool, businessId: string, set: string): Promise<void> {
  await pool.query(
    `update routes set ${set}, health_version = health_version + 1 where business_id = $1 and direction = 'inbound'`,
    [businessId],
  )
}

export function untilRoute(
  database: Pool,
  businessId: string,
  state: string,
  also: (route: RouteState) => boolean = () => true,
): Promise<RouteState> {
  return eventually(`route ${businessId} is ${state}`, async () => {
    const route = await routeOf(database, businessId)
    return route.state === state && also(route) && route
  })
}
