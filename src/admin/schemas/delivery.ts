import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import { businessId, callSidText, direction, listOf, pageLimit, storableText, time, timeBounds } from './common.ts'
import { exampleOf } from './examples.ts'

const deliveryId = z
  .guid()
  .meta({ examples: [exampleOf.deliveryId] })
  .transform((id) => id.toLowerCase())

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

export const discardOrder = z
  .strictObject({
    reason: storableText(200)
      .refine((text) => text.trim() !== '')
      .optional()
      .meta({
        description: 'a text of 1 to 200 characters; without it, who discarded it',
        examples: ['the order was canceled'],
      }),
  })
  .meta({ id: 'DiscardOrder' })

export const deliveryPath = z.object({ id: deliveryId.describe('a UUID') })

const eventType = z.string().meta({ description: 'what it tells', examples: ['call.completed'] })

export const delivery = z
  .object({
    id: z.guid().meta({ description: 'the webhook-id of every attempt', examples: [exampleOf.deliveryId] }),
    business_id: businessId,
    call_sid: callSidText,
    event_type: eventType,
    direction,
    status,
    reason: z
      .string()
      .nullable()
      .describe(
        'why it was skipped or failed; while it is pending: waiting (for its turn), retrying (its wait is not over), ' +
          'held_by_breaker, parked, rate_limited (Retry-After of the endpoint), after (an earlier event of its call is pending)',
      ),
    operator: z.string().nullable().describe('who discarded it; null: it ended without an operator'),
    attempt_count: z.int().meta({ description: 'attempts made, including those before a requeue', examples: [1] }),
    last_status_code: z
      .int()
      .nullable()
      .meta({ description: 'of the last attempt that was answered; null: none was', examples: [200] }),
    created_at: time.describe('when it was enqueued'),
    due_at: time.nullable().describe('when it is tried next; null: it is not pending'),
    finished_at: time.nullable().describe('when it was delivered, failed or was skipped; null while it is pending'),
  })
  .meta({ id: 'Delivery', description: 'One event for one business.' })

export const attempt = z
  .object({
    id: z.guid().meta({ examples: [exampleOf.attemptId] }),
    number: z.int().meta({ description: 'counted from 1', examples: [1] }),
    started_at: time,
    duration_ms: z.int().meta({ description: 'until the answer was read, in milliseconds', examples: [84] }),
    url: z.string().meta({ description: 'where it was posted', examples: [exampleOf.url] }),
    result: z
      .enum(['ok', 'http_error', 'timeout', 'dns', 'connect', 'tls', 'reset', 'blocked'])
      .describe('ok: 2xx; http_error: another status; blocked: an address that may not be reached; else what failed'),
    status_code: z
      .int()
      .nullable()
      .meta({ description: 'null: there was no answer', examples: [200] }),
    error: z.string().nullable().describe('what failed, in words'),
    response_excerpt: z.string().nullable().describe('the first 2 KB of the answer; bytes that are no UTF-8 as U+FFFD'),
  })
  .meta({ id: 'Attempt', description: 'One POST of a delivery.' })

const waitsFor = z
  .string()
  .nullable()
  .describe('what must happen to its route before it is tried; null: nothing, or it is not pending')

export const deliveryAlone = delivery
  .extend({
    waits_for: waitsFor,
    payload: z.unknown().describe('byte for byte what is sent; null once retention has taken it'),
    attempts: z.array(attempt).describe('the last 1000, oldest first'),
  })
  .meta({ id: 'DeliveryWithAttempts' })

export const requeuedDelivery = delivery.extend({ waits_for: waitsFor }).meta({ id: 'RequeuedDelivery' })

export const deliveryList = listOf(delivery).meta({ id: 'DeliveryList' })

export type DeliveryAnswer = z.infer<typeof delivery>
export type RequeuedDelivery = z.infer<typeof requeuedDelivery>
export type AttemptAnswer = z.infer<typeof attempt>
