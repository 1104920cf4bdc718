import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import { businessId, direction, listOf, pageLimit, storableText, time, timeBounds } from './common.ts'
import { metadata, metadataTakes } from './metadata.ts'

/** SIDs are two letters and 32 hex digits; all that is relied on is that they are short and harmless. */
const callSid = z.string().regex(/^\w{1,64}$/)

const state = z.enum(['open', 'queued', 'processing', 'completed', 'failed'])

export const callPath = z.object({ call_sid: callSid.describe('a CallSid: letters, digits and _, at most 64') })

export const callListQuery = z.strictObject({
  business_id: businessId.optional().describe('a whole number from 1 to 9223372036854775807'),
  direction: direction.optional().describe('inbound or outbound'),
  state: state.optional().describe('open, queued, processing, completed or failed'),
  ...timeBounds,
  limit: pageLimit,
  cursor: timeCursor(callSid),
})

const detail = storableText(200).nullable().optional().describe('a text of at most 200 characters, or null for none')

/** What the platform knows of a call; a field that is not named stays, `null` clears it. */
export const callDetailsChange = z.strictObject({
  lead_id: detail,
  customer_name: detail,
  agent_name: detail,
  metadata: metadata.nullable().optional().describe(metadataTakes),
})

export const callDetails = z.object({
  call_sid: z.string(),
  lead_id: z.string(),
  customer_name: z.string(),
  agent_name: z.string(),
  metadata: z.record(z.string(), z.unknown()),
})

const step = z.object({
  step: z.enum(['audio', 'transcript', 'summary', 'extraction', 'completion']),
  attempts: z.int(),
  started_at: time,
  finished_at: time.nullable(),
  error: z.string().nullable(),
})

export const listedCall = z.object({
  call_sid: z.string(),
  business_id: businessId,
  direction: direction.nullable(),
  from: z.string(),
  to: z.string(),
  phone: z.string().describe("the customer's number, as in the payload"),
  state,
  error: z.string().nullable().describe('why it failed'),
  steps: z.array(step),
  lead_id: z.string(),
  customer_name: z.string(),
  agent_name: z.string(),
  city: z.string(),
  service_category: z.string(),
  started_at: time.nullable(),
  ended_at: time.nullable(),
  duration_sec: z.int().nullable(),
  created_at: time,
  completed_at: time.nullable().describe("the payload's timestamp"),
  failed_at: time.nullable(),
})

export const call = listedCall.extend({
  transcript: z.string().nullable().describe('null before it is there and once retention has taken it'),
  summary: z.string().nullable().describe('null before it is there and once retention has taken it'),
  metadata: z.record(z.string(), z.unknown()),
})

export const callList = listOf(listedCall)

export type CallListQuery = z.infer<typeof callListQuery>
export type CallDetailsChange = z.infer<typeof callDetailsChange>
export type CallDetails = z.infer<typeof callDetails>
export type ListedCall = z.infer<typeof listedCall>
export type CallAnswer = z.infer<typeof call>
