import { z } from 'zod'
import { numberCursor } from '../paging.ts'
import { businessId, callSidText, listOf, pageLimit, phoneText, time } from './common.ts'
import { shownAs } from './shown-as.ts'

export const callbackListQuery = z.strictObject({
  matched: z
    .enum(['true', 'false'])
    .transform((text) => text === 'true')
    .optional()
    .meta({ description: 'true or false', ...shownAs({ type: 'boolean' }) }),
  limit: pageLimit,
  cursor: numberCursor,
})

export const callback = z
  .object({
    id: z.string().meta({ description: 'numbered as they came', examples: ['1'] }),
    kind: z.enum(['call_status', 'recording_status']),
    call_sid: callSidText.describe("the CallSid of Twilio; '': it names none"),
    parent_call_sid: z.string().nullable().describe('of the call that it is a leg of; null: it is no leg'),
    from: phoneText,
    to: phoneText,
    state: z.enum(['new', 'matched', 'unmatched']).describe('new: waits to be matched'),
    reason: z.string().nullable().describe('why it is unmatched or waits, or a remark on its match'),
    business_id: businessId.nullable().describe('null: it belongs to none yet'),
    received_at: time,
    matched_at: time.nullable(),
  })
  .meta({ id: 'Callback', description: 'One of Twilio, as it was stored.' })

export const callbackList = listOf(callback).meta({ id: 'CallbackList' })

export type CallbackAnswer = z.infer<typeof callback>
