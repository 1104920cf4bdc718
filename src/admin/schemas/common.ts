import { z } from 'zod'
import { exampleOf } from './examples.ts'
import { shownAs } from './shown-as.ts'

const largestBigint = 9_223_372_036_854_775_807n

/**
 * Text that PostgreSQL keeps as it came: it refuses U+0000, and a lone surrogate has no UTF-8.
 *
 * @param max UTF-16 code units.
 */
export const storableText = (max: number) =>
  z
    .string()
    .max(max)
    .refine((text) => !text.includes('\0') && text.isWellFormed())

export const businessId = z
  .string()
  .regex(/^[1-9]\d{0,18}$/, { abort: true })
  .refine((text) => BigInt(text) <= largestBigint)
  .meta({ description: 'a whole number from 1 to 9223372036854775807', examples: [exampleOf.businessId] })

export const direction = z.enum(['inbound', 'outbound']).describe('inbound or outbound')

/** A time in an answer. */
export const time = z.iso.datetime().meta({ description: 'RFC 3339, UTC', examples: ['2025-12-10T14:23:45.123Z'] })

/** A time in a request; kept as text, since a `Date` would drop its microseconds. */
const timeBound = z.iso.datetime({ offset: true }).meta({ examples: [exampleOf.time] })
const timeExample = 'an RFC 3339 time, such as 2025-12-10T14:23:45Z'

/** `since` is included, `until` is not. */
export const timeBounds = {
  since: timeBound.optional().describe(timeExample),
  until: timeBound.optional().describe(timeExample),
}

export const pageLimit = z
  .string()
  .regex(/^\d{1,3}$/)
  .transform(Number)
  .pipe(z.int().min(1).max(200))
  .default(50)
  .meta({
    description: 'a whole number from 1 to 200',
    ...shownAs({ type: 'integer', minimum: 1, maximum: 200, default: 50 }),
  })

/** A CallSid in an answer. */
export const callSidText = z.string().meta({ description: 'the CallSid of Twilio', examples: [exampleOf.callSid] })

/** A phone number in an answer. */
export const phoneText = z.string().meta({
  description: 'E.164, or what else Twilio calls a party, such as client:bob',
  examples: [exampleOf.phoneNumber],
})

/** A list: at most `limit` items, fewer where much had to be looked through, and where the next page begins. */
export const listOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    next_cursor: z
      .string()
      .nullable()
      .describe('the cursor of the next page; null on the last one. A page before it may have fewer items, or none'),
  })
