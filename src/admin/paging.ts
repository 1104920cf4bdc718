import { z } from 'zod'
import type { Listing } from '../database/newest-first.ts'
import { businessId, direction } from './schemas/common.ts'

/*
 * Lists are read newest first (routes: by business and direction) and page by key, not by offset: what arrives meanwhile
 * moves nothing. A cursor is the place of the last item of a page: opaque to those who send it back, and parsed like all
 * that comes from outside.
 */

const encoded = z.string().max(400)
const takes = 'the next_cursor of an earlier answer to the same filter'
const decode = (text: string): string[] => Buffer.from(text, 'base64url').toString('utf8').split(' ')

export const encodeCursor = (...key: string[]): string => Buffer.from(key.join(' ')).toString('base64url')

/** A cursor of {@link TimePlace}s. @param id what an id of this list looks like. */
export const timeCursor = (id: z.ZodType<string, string>) =>
  encoded
    .transform((text) => {
      const [createdAt = '', id = ''] = decode(text)
      return { createdAt, id }
    })
    .pipe(z.object({ createdAt: z.iso.datetime({ precision: 6 }), id }))
    .optional()
    .describe(takes)

/** A cursor of rows that are numbered in the order in which they came. */
export const numberCursor = encoded
  .transform((text) => decode(text)[0] ?? '')
  .pipe(z.string().regex(/^\d{1,18}$/))
  .optional()
  .describe(takes)

/** A cursor of routes. */
export const routeCursor = encoded
  .transform((text) => {
    const [businessId = '', direction = ''] = decode(text)
    return { businessId, direction }
  })
  .pipe(z.object({ businessId, direction }))
  .optional()
  .describe(takes)

/** Makes the answer of a list that tells itself where its next page begins. */
export function pageOfListing<Row, Item>(
  { rows, next }: Listing<Row>,
  itemOf: (row: Row) => Item,
): { items: Item[]; next_cursor: string | null } {
  return { items: rows.map(itemOf), next_cursor: next && encodeCursor(next.createdAt, next.id) }
}

/**
 * Makes the answer of a list.
 *
 * @param rows one more than `limit` when there is a next page.
 */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  itemOf: (row: Row) => Item,
): { items: Item[]; next_cursor: string | null } {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  return {
    items: items.map(itemOf),
    next_cursor: last !== undefined && rows.length > limit ? cursorOf(last) : null,
  }
}
