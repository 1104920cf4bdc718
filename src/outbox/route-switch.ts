import type { Knex } from 'knex'
import type { Direction } from './routing.ts'

/*
 * What operators do to routes. Every change counts `health_version` up: by it the dispatcher that owns the route takes
 * it over, and forgets what it knew. Hint the route after the commit of what lets it send again.
 */

/** Stops sending on a route; what waits stays pending. @returns false: it was parked already, and nothing was changed. */
export async function parkRoute(trx: Knex, businessId: string, direction: Direction, reason: string): Promise<boolean> {
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `update callbox.routes
     set state = 'parked', state_reason = ?, state_since = now(), probe_at = null, health_version = health_version + 1
     where business_id = ? and direction = ? and state <> 'parked'`,
    [reason, businessId, direction],
  )
  return rowCount > 0
}

const healthy = `state = 'active', state_reason = null, failing_since = null, probes = 0, probe_at = null, held_until = null,
  state_since = case when state = 'active' then state_since else now() end, health_version = health_version + 1`

/** Sends again on a route that is parked, held by a `Retry-After`, or has an open breaker. @returns false: none applied. */
export async function unparkRoute(trx: Knex, businessId: string, direction: Direction): Promise<boolean> {
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `update callbox.routes set ${healthy} where business_id = ? and direction = ? and (state <> 'active' or held_until > now())`,
    [businessId, direction],
  )
  return rowCount > 0
}

/**
 * Another endpoint, another health, whoever parked the route: failures so far were the former one's. Only a parked route
 * that has lost its URL stays parked, since its deliveries would be skipped.
 *
 * @param hadUrl whether there was an endpoint before; without one, a route that is active has nothing to forget.
 */
export async function resetRoute(
  trx: Knex,
  businessId: string,
  direction: Direction,
  { hadUrl, hasUrl }: { hadUrl: boolean; hasUrl: boolean },
): Promise<void> {
  await trx.raw(
    `update callbox.routes set ${healthy}
     where business_id = ? and direction = ? and (? or state <> 'active') and (? or state <> 'parked')`,
    [businessId, direction, hadUrl, hasUrl],
  )
}
