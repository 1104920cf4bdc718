/** A row's place in a list by its time of creation; ties are broken by its id. */
export interface TimePlace {
  /** RFC 3339, UTC, with all its microseconds: a `Date` would drop them, and rows with it. */
  createdAt: string
  id: string
}

/** The SQL of a {@link TimePlace}'s time. Never call its result `created_at`: `order by` would then sort by the text. */
export const placeTime = (column: string): string => `${fullTime(column)} as place_time`

/** The SQL of a time as RFC 3339 in UTC, with all its microseconds. */
export const fullTime = (time: string): string =>
  `to_char((${time}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
