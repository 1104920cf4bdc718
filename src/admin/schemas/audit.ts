import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import { businessId, callSidText, direction, listOf, pageLimit, storableText, time, timeBounds } from './common.ts'

/** The word before the dot is the kind of what was changed. */
const actions = [
  ...([
    'business.created',
    'business.changed',
    'call.changed',
    'call.reprocessed',
    'delivery.requeued',
    'delivery.discarded',
  ] as const),
  ...(['route.parked', 'route.unparked', 'requeue.started', 'requeue.stopped', 'requeue.resumed'] as const),
  'test_event.sent',
] as const

const action = z.enum(actions).describe(actions.join(', '))

const auditId = z.string().regex(/^\d{1,18}$/)

export const auditListQuery = z.strictObject({
  operator: storableText(255).optional().describe('the name of a token, of at most 255 characters'),
  action: action.optional(),
  business_id: businessId.optional(),
  ...timeBounds,
  limit: pageLimit,
  cursor: timeCursor(auditId),
})

export const auditEntry = z
  .object({
    id: z.string().meta({ description: 'numbered as they were made', examples: ['1'] }),
    at: time,
    operator: z.string().describe('the name of the token that the change came with'),
    action,
    business_id: businessId.nullable(),
    direction: direction.nullable(),
    call_sid: callSidText.nullable(),
    delivery_id: z.guid().nullable(),
    requeue_id: z.guid().nullable(),
    detail: z
      .record(z.string(), z.unknown())
      .describe('names of changed fields and harmless values; no secret, phone number or URL'),
  })
  .meta({ id: 'AuditEntry', description: 'A change that an operator made.' })

export const auditList = listOf(auditEntry).meta({ id: 'AuditList' })

export type AuditAction = (typeof actions)[number]
export type AuditListQuery = z.infer<typeof auditListQuery>
export type AuditEntry = z.infer<typeof auditEntry>
