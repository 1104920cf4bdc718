import { z } from 'zod'

/** UTC to the second. */
const time = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  .meta({ format: 'date-time' })
const sampleSid = 'CA9dd13ec4fcb895203d2162ca7e0297fc'

/**
 * The payload of an event that tells of a call. Receivers have flows built on it: exactly these keys, types and order.
 * Unknown texts are `''`, never null.
 */
export const callEvent = <T extends string>(eventType: T) =>
  z.strictObject({
    event_type: z.literal(eventType),
    timestamp: time.describe('when the call was completed by Callbox'),
    business_id: z.string().meta({ description: 'whose call it is', examples: ['10'] }),
    call_id: z.string().meta({ description: 'the CallSid of Twilio', examples: [sampleSid] }),
    lead_id: z.string().describe('from the platform'),
    phone: z.string().describe("the customer's number: the caller's on an inbound call, the called one on an outbound"),
    customer_name: z.string().describe('from the platform'),
    direction: z.enum(['inbound', 'outbound']),
    city: z.string().describe('what the call is about, as far as it was said'),
    service_category: z.string().describe('what the call is about, as far as it was said'),
    started_at: time,
    ended_at: time,
    duration_sec: z.int().min(0).describe('seconds'),
    transcript: z.string().describe("'' without speech"),
    summary: z.string().describe("Markdown; '' without speech"),
    agent_name: z.string().describe('from the platform'),
    metadata: z.record(z.string(), z.unknown()).describe('from the platform, as it was given'),
  })

/** What {@link callEvent} describes; its metadata is text while it is built. */
export type CallEventHead = Omit<z.infer<ReturnType<typeof callEvent>>, 'metadata'>
