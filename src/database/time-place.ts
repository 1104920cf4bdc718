/** A row's place in a list by its time of creation; ties are broken by its id. */
export interface TimePlace {
  /** RFC 3339, UTC, with all its microseconds: a `Date` would drop them, and rows with it. */
  createdAt: string
  id: string
}

/** The SQL of a {@link TimePlace}'s time. Never call its result `created_at`: `order by` would then sort by the text. */
export const placeTime = (column: string): string =>
  `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as place_time`
