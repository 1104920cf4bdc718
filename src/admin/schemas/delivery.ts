import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import { businessId, direction, listOf, pageLimit, storableText, time, timeBounds } from './common.ts'

const deliveryId = z.guid().transform((id) => id.toLowerCase())

const status = z.enum(['pending', 'delivered', 'failed', 'skipped']).describe('pending, delivered, failed or skipped')

/** What deliveries are picked by, in lists now and in bulk requeues later. */
export const deliveryFilter = {
  status: status.optional().describe('pending, delivered, failed or skipped'),
  business_id: businessId.optional().describe('a whole number from 1 to 9223372036854775807'),
  direction: direction.optional().describe('inbound or outbound'),
  event_type: storableText(100).optional().describe('an event type of at most 100 characters, such as call.completed'),
  call_sid: storableText(255).optional().describe('a CallSid of at most 255 characters'),
  ...timeBounds,
}

export const deliveryListQuery = z.strictObject({ ...deliveryFilter, limit: pageLimit, cursor: timeCursor(deliveryId) })

export const deliveryPath = z.object({ id: deliveryId.describe('a UUID') })

export const delivery = z.object({
  id: z.guid().describe('the webhook-id of every attempt'),
  business_id: businessId,
  call_sid: z.string(),
  event_type: z.string(),
  direction,
  status,
  reason: z.string().nullable().describe('why it was skipped or failed'),
  attempt_count: z.int(),
  created_at: time,
  due_at: time.describe('when it is tried next, or was due last'),
  finished_at: time.nullable(),
})

export const attempt = z.object({
  id: z.guid(),
  number: z.int(),
  started_at: time,
  duration_ms: z.int(),
  url: z.string(),
  result: z.enum(['ok', 'http_error', 'timeout', 'dns', 'connect', 'tls', 'reset', 'blocked']),
  status_code: z.int().nullable(),
  error: z.string().nullable(),
  response_excerpt: z.string().nullable().describe('the beginning of the answer; bytes that are no UTF-8 as U+FFFD'),
})

export const deliveryAlone = delivery.extend({
  payload: z.unknown().describe('byte for byte what is sent; null once retention has taken it'),
  attempts: z.array(attempt).describe('the last 1000, oldest first'),
})

export const requeuedDelivery = delivery.extend({
  waits_for: z.string().nullable().describe('what must happen before it is tried; null: nothing'),
})

export const deliveryList = listOf(delivery)

export type DeliveryAnswer = z.infer<typeof delivery>
export type RequeuedDelivery = z.infer<typeof requeuedDelivery>
export type AttemptAnswer = z.infer<typeof attempt>
