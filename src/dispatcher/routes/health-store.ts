import type pg from 'pg'
import { Loop } from '../../lib/loop.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { Route } from './route.ts'
import type { HealthChange } from './route-health.ts'

const retryMs = 500
/** A change is written as it comes; in between the loop only waits for the next one. */
const idleMs = 60_000

/**
 * Stores changes of routes' health, only the newest for each route, and repeats until the database accepts them. They are
 * few: an opened breaker, a probe, a hold, a parking.
 */
export class HealthStore {
  readonly #pool: pg.Pool
  readonly #owner: () => string
  readonly #log: Logger
  readonly #waiting = new Map<Route, HealthChange>()
  readonly #loop = new Loop(() => this.#writeAll())

  /** @param owner the id under which this dispatcher owns its slots. */
  constructor(pool: pg.Pool, owner: () => string, log: Logger) {
    this.#pool = pool
    this.#owner = owner
    this.#log = log
    this.#loop.start()
  }

  write(route: Route, change: HealthChange): void {
    // A change without a reason must not hide the reason of one that is not written yet.
    const reason = change.reason ?? this.#waiting.get(route)?.reason ?? null
    this.#waiting.set(route, { ...change, reason })
    this.#loop.wake()
  }

  /** Writes what is left, once. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.#writeAll()
  }

  async #writeAll(): Promise<number> {
    for (const [route, change] of this.#waiting) {
      try {
        await this.#write(route, change)
      } catch (err) {
        this.#log.warn({ event: 'route.health_unwritten', err }, 'the state of a route waits for the database')
        return retryMs
      }
      if (this.#waiting.get(route) === change) this.#waiting.delete(route)
    }
    return this.#waiting.size > 0 ? 0 : idleMs
  }

  async #write(route: Route, { state, reason, probes, waitMs, failingForMs }: HealthChange): Promise<void> {
    const key = [route.businessId, route.direction, route.health.version, this.#owner()]
    const { rows } = await this.#pool.query<{ health_version: number }>(writeHealth, [
      ...key,
      state,
      reason,
      failingForMs,
      probes,
      waitMs,
    ])
    // No row: another writer changed it, or the slot is no longer ours. The next read adopts the stored state.
    route.health.stored(rows[0]?.health_version ?? null)
  }
}

/**
 * Writes one row of one tenant, while it has the version that is known here (`$3`) and its slot belongs to `$4`: a former
 * owner's last results must not undo an operator's parking or a later owner's state.
 */
export const writeHealth = `
  update callbox.routes r
  set state = $5,
      state_reason = case when $5 = 'active' then null else coalesce($6, r.state_reason) end,
      state_since = case when r.state = $5 then r.state_since else now() end,
      failing_since = case when $5 <> 'active' then coalesce(now() - $7::float8 * interval '1 millisecond', r.failing_since) end,
      probes = $8,
      probe_at = case when $5 = 'failing' then now() + $9::float8 * interval '1 millisecond' end,
      held_until = case when $5 = 'active' and $9::float8 > 0 then now() + $9::float8 * interval '1 millisecond' end,
      health_version = health_version + 1
  where r.business_id = $1
    and r.direction = $2
    and r.state <> 'parked'
    and r.health_version = $3
    and exists (select from callbox.slots s where s.slot = r.slot and s.owner = $4)
  returning health_version`
