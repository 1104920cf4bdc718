/**
 * The statements of the lease. All of them are small, touch no tenant's rows, and may be repeated when their answer was
 * not heard.
 */

/** Text parameters: id, host. */
export const joinFleet = `
  insert into callbox.dispatchers (id, host) values ($1, $2)
  on conflict (id) do nothing`

/** A number as JSON does not depend on `extra_float_digits`. No row: another dispatcher has buried this one. */
export const renewBeat = `
  update callbox.dispatchers
  set beat = beat + 1, leaving = $2
  where id = $1
  returning beat, to_json(extract(epoch from clock_timestamp()) * 1000) as database_ms`

/** One snapshot of who lives and who owns what. */
export const readFleet = `
  select
    (select coalesce(json_agg(json_build_object('id', id, 'beat', beat, 'leaving', leaving)), '[]') from callbox.dispatchers)
      as dispatchers,
    (select json_agg(json_build_object('slot', slot, 'owner', owner) order by slot) from callbox.slots) as slots`

/** Only if the beat is still the one that was watched: a renewal in between saves it. */
export const buryDispatcher = `
  delete from callbox.dispatchers where id = $1 and beat = $2`

/**
 * Takes slots whose owner is still the one that was seen, absent from a snapshot of `dispatchers` that had already
 * been read: ids do not come back, so an absent owner stays absent. (A subquery here would be judged by this
 * statement's own snapshot, and could call an owner absent who joined and claimed while we waited for the row.)
 * No owner is '' in $3: `array_nulls` decides what a null in an array means.
 */
export const claimSlots = `
  update callbox.slots s
  set owner = $1
  from unnest($2::smallint[], $3::text[]) as seen (slot, owner)
  where s.slot = seen.slot and s.owner is not distinct from nullif(seen.owner, '')::uuid
  returning s.slot`

/**
 * Only while the beat is the one of the renewal before it. A release whose answer was not heard may still be on its way
 * when its sender, who saw that the slots are its own, sends for them again; the renewal in between has made it void.
 * The lock orders the two.
 */
export const releaseSlots = `
  with current as (
    select from callbox.dispatchers where id = $1 and beat = $3 for update
  )
  update callbox.slots set owner = null
  where slot = any($2::smallint[]) and owner = $1 and exists (select from current)`

export const leaveFleet = `
  delete from callbox.dispatchers where id = $1`
