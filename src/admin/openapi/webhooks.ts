import { z } from 'zod'
import type { ZodOpenApiPathItemObject, ZodOpenApiResponsesObject } from 'zod-openapi'
import { callCompleted, callCompletedPayload } from '../../calls/call-completed-event.ts'
import { callEvent } from '../../calls/call-event.ts'
import { testEventPayload, testEventType } from '../../calls/test-event.ts'
import { exampleOf } from '../schemas/examples.ts'

const headers = z.object({
  'webhook-id': z.guid().meta({
    description: 'the delivery; the same on every attempt and requeue, so drop what you have seen',
    examples: [exampleOf.deliveryId],
  }),
  'webhook-timestamp': z
    .string()
    .regex(/^\d+$/)
    .meta({ description: 'when this attempt began, in seconds since 1970', examples: ['1765376625'] }),
  'webhook-signature': z
    .string()
    .regex(/^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)*$/)
    .meta({
      description:
        '`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; two, separated by a space, while a secret rotates',
      examples: ['v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4='],
    }),
})

const laterHeader = z
  .string()
  .optional()
  .meta({
    description: 'seconds or an HTTP date: lengthens the wait, up to the longest step of the schedule',
    examples: ['120'],
  })

const responses: ZodOpenApiResponsesObject = {
  '2XX': { description: 'Delivered. The first 2 KB of the body are kept with the attempt, and nothing is read in it.' },
  410: {
    description:
      'The endpoint is gone: its route is parked. This delivery and those after it wait, and lose no attempt, until an ' +
      'operator unparks the route or its URL changes.',
  },
  429: {
    description: 'Tried again by the schedule, not before `Retry-After`.',
    headers: z.object({ 'Retry-After': laterHeader }),
  },
  default: {
    description:
      'Anything else, redirects included, and no whole answer within `WEBHOOK_TIMEOUT`: tried again by the schedule ' +
      '(`WEBHOOK_RETRY_SCHEDULE`), not before `Retry-After`. When the schedule is used up, the delivery has failed and can ' +
      'be requeued. After five failures in a row one delivery at a time is let through as a probe.',
    headers: z.object({ 'Retry-After': laterHeader }),
  },
}

const promise =
  'Signed by [Standard Webhooks](https://www.standardwebhooks.com): verify it with any of its libraries. It is sent at ' +
  'least once and in no order. The body is compact JSON with exactly these keys in this order, and has the same bytes at ' +
  'every attempt; unknown texts are `""`, never null. The headers of the business go with it.'

interface Webhook {
  operationId: string
  summary: string
  description: string
  schema: z.ZodType
  /** An example of the body. */
  payload: string
}

function webhook({ operationId, summary, description, schema, payload }: Webhook): ZodOpenApiPathItemObject {
  return {
    post: {
      operationId,
      tags: ['Webhooks'],
      summary,
      description: `${description} ${promise}`,
      security: [],
      requestParams: { header: headers },
      requestBody: { required: true, content: { 'application/json': { schema, example: JSON.parse(payload) } } },
      responses,
    },
  }
}

const sampleCall = {
  businessId: exampleOf.businessId,
  callSid: exampleOf.callSid,
  completedAt: new Date('2025-12-10T14:23:45Z'),
  direction: 'inbound',
  fromNumber: exampleOf.phoneNumber,
  toNumber: '',
  startedAt: new Date('2025-12-10T14:23:19Z'),
  endedAt: new Date('2025-12-10T14:23:45Z'),
  durationSec: 26,
  transcript: 'היי, זה אתר הנדל״ן, במה אפשר לעזור?',
  summary: '### סוג הפנייה והתחום\nשיווק נכס בבית שאן',
  city: 'בית שאן',
  serviceCategory: 'שיווק נכס',
  leadId: '123',
  customerName: '',
  agentName: 'Assistant',
  metadata: '{}',
} as const

const sampleTest = {
  businessId: exampleOf.businessId,
  callSid: 'test-6f1c7f0e-1f8e-4a53-8a43-9a1f1d5b7b11',
  direction: 'inbound',
  now: new Date('2025-12-10T14:23:45Z'),
  serviceCategory: 'sale',
} as const

export const webhooks: Record<string, ZodOpenApiPathItemObject> = {
  [callCompleted]: webhook({
    operationId: 'receiveCallCompleted',
    summary: `${callCompleted}: a call is completed`,
    description: 'Posted to the URL that the business has for the direction of the call.',
    schema: callEvent(callCompleted).meta({
      id: 'CallCompleted',
      description: 'A recorded call and what became of it.',
    }),
    payload: callCompletedPayload(sampleCall),
  }),
  [testEventType]: webhook({
    operationId: 'receiveTestEvent',
    summary: `${testEventType}: a test that an operator sends`,
    description: 'Made up: there was no call.',
    schema: callEvent(testEventType).meta({
      id: 'TestEvent',
      description: 'A `call.completed` of a call that never was.',
    }),
    payload: testEventPayload(sampleTest),
  }),
}
