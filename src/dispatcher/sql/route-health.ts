/**
 * What of a route must outlive its dispatcher. Each touches one row of one tenant, while it is at the version that is
 * known here, `$3`, and its slot still belongs to `$4`: neither an operator's parking nor what a later owner knows is
 * undone by a former owner's last answers; no row is returned then.
 */
const ours = `business_id = $1 and direction = $2 and state <> 'parked' and health_version = $3
    and exists (select from callbox.slots where slots.slot = routes.slot and slots.owner = $4)`

export const writeRouteFailing = `
  update callbox.routes
  set state = 'failing',
      state_reason = $5,
      state_since = case when state = 'failing' then state_since else now() end,
      failing_since = now() - $6::float8 * interval '1 millisecond',
      probes = $7,
      probe_at = now() + $8::float8 * interval '1 millisecond',
      health_version = health_version + 1
  where ${ours}
  returning health_version`

export const writeRouteActive = `
  update callbox.routes
  set state = 'active', state_reason = null, state_since = now(), failing_since = null, probes = 0, probe_at = null,
      health_version = health_version + 1
  where ${ours}
  returning health_version`

export const writeRouteParked = `
  update callbox.routes
  set state = 'parked', state_reason = $5, state_since = now(), probe_at = null,
      health_version = health_version + 1
  where ${ours}
  returning health_version`

export const readParkedRoutes = `
  select business_id, direction, health_version
  from callbox.routes
  where slot = any($1::smallint[]) and state = 'parked'`
