import { z } from 'zod'
import { routeCursor } from '../paging.ts'
import { businessId, direction, listOf, pageLimit, storableText, time } from './common.ts'

const state = z.enum(['active', 'failing', 'parked']).describe('active, failing or parked')

export const routeListQuery = z.strictObject({
  state: state.optional(),
  business_id: businessId.optional(),
  direction: direction.optional(),
  limit: pageLimit,
  cursor: routeCursor,
})

export const routePath = z.object({ business_id: businessId, direction })

export const parkOrder = z
  .strictObject({
    reason: storableText(200)
      .refine((text) => text.trim() !== '')
      .optional()
      .meta({
        description: 'a text of 1 to 200 characters; without it, who parked it',
        examples: ['the receiver is being moved'],
      }),
  })
  .meta({ id: 'ParkOrder' })

export const route = z
  .object({
    business_id: businessId,
    direction,
    state: state.describe(
      'failing: the breaker is open; parked: nothing is sent until it is unparked or its URL changed',
    ),
    reason: z.string().nullable().describe('why it is not active'),
    since: time.nullable().describe('since when it is in this state; null: ever since'),
    failing_since: time.nullable().describe('the first failure since the last success'),
    probe_at: time.nullable().describe('when the open breaker lets the next delivery through'),
    url: z.string().nullable().describe('where its deliveries go; null: nowhere, they are skipped'),
    waiting: z.int().describe('pending deliveries, due or not; counted to 10000'),
    recent_attempts: z
      .int()
      .describe(
        'what success_rate and p95_ms are of: attempts for its 200 newest deliveries, if among the 50000 newest of all',
      ),
    success_rate: z.number().nullable().describe('from 0 to 1; null without recent attempts'),
    p95_ms: z.int().nullable().describe('what 95 % of the recent attempts did not exceed; null without any'),
    oldest_due_at: time.nullable().describe('since when the one that is due the longest has been so; null: none is'),
  })
  .meta({ id: 'Route', description: 'One direction of one business.' })

export const routeList = listOf(route).meta({ id: 'RouteList' })

export type RouteListQuery = z.infer<typeof routeListQuery>
export type RouteAnswer = z.infer<typeof route>
export type RoutePerformance = Pick<RouteAnswer, 'recent_attempts' | 'success_rate' | 'p95_ms'>
export type RouteState = Omit<RouteAnswer, keyof RoutePerformance>
