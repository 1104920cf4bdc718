import { z } from 'zod'
import { numberCursor } from '../paging.ts'
import { businessId, listOf, pageLimit, time } from './common.ts'

export const callbackListQuery = z.strictObject({
  matched: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .describe('true or false'),
  limit: pageLimit,
  cursor: numberCursor,
})

export const callback = z.object({
  id: z.string(),
  kind: z.enum(['call_status', 'recording_status']),
  call_sid: z.string(),
  parent_call_sid: z.string().nullable(),
  from: z.string(),
  to: z.string(),
  state: z.enum(['new', 'matched', 'unmatched']),
  reason: z.string().nullable().describe('why it is unmatched or waits, or a remark on its match'),
  business_id: businessId.nullable(),
  received_at: time,
  matched_at: time.nullable(),
})

export const callbackList = listOf(callback)

export type CallbackAnswer = z.infer<typeof callback>
