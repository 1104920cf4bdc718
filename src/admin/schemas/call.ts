import { z } from 'zod'
import { timeCursor } from '../paging.ts'
import {
  businessId,
  callSidText,
  direction,
  listOf,
  pageLimit,
  phoneText,
  storableText,
  time,
  timeBounds,
} from './common.ts'
import { exampleOf } from './examples.ts'
import { metadata, metadataTakes } from './metadata.ts'

/** SIDs are two letters and 32 hex digits; all that is relied on is that they are short and harmless. */
const callSid = z
  .string()
  .regex(/^\w{1,64}$/)
  .meta({ examples: [exampleOf.callSid] })

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
export const callDetailsChange = z
  .strictObject({
    lead_id: detail,
    customer_name: detail,
    agent_name: detail,
    metadata: metadata.nullable().optional().describe(metadataTakes),
  })
  .meta({ id: 'CallDetailsChange' })

const fromPlatform = {
  lead_id: z.string().describe("from the platform; '': unknown"),
  customer_name: z.string().describe("from the platform; '': unknown"),
  agent_name: z.string().meta({ description: "from the platform; '': unknown", examples: ['Assistant'] }),
}
const metadataText = z.record(z.string(), z.unknown()).describe('from the platform, as it was given')

export const callDetails = z
  .object({ call_sid: callSidText, ...fromPlatform, metadata: metadataText })
  .meta({ id: 'CallDetails' })

const step = z
  .object({
    step: z.enum(['audio', 'transcript', 'summary', 'extraction', 'completion']),
    attempts: z.int().meta({ examples: [1] }),
    started_at: time.describe('when the last attempt began'),
    finished_at: time.nullable(),
    error: z.string().nullable().describe('of the last attempt that failed'),
  })
  .meta({ id: 'CallStep', description: 'One step of the pipeline.' })

const recording = z
  .object({
    recording_sid: z.string().meta({ examples: [exampleOf.callSid.replace('CA', 'RE')] }),
    state: z
      .enum(['waiting', 'transcribed', 'unusable'])
      .describe(
        'waiting: not in the transcript yet; for a completed call it came too late, and reprocess includes it. unusable: Twilio has no audio, or the audio cannot be fetched or transcribed',
      ),
    error: z.string().nullable().describe('why it is unusable'),
    source: z.string().meta({ description: "Twilio's RecordingSource; '': unknown", examples: ['RecordVerb'] }),
    channels: z.int().nullable(),
    started_at: time.nullable().describe('null: Twilio did not say'),
    duration_sec: z.int().nullable(),
    received_at: time.describe('when its callback was stored'),
  })
  .meta({ id: 'CallRecording', description: 'One recording of the call.' })

export const listedCall = z
  .object({
    call_sid: callSidText,
    business_id: businessId,
    direction: direction.nullable().describe('null: Twilio has not said yet'),
    from: phoneText,
    to: phoneText,
    phone: z.string().meta({
      description: "the customer's number, as in the payload; '': the direction is not known yet",
      examples: [exampleOf.phoneNumber],
    }),
    state: state.describe('open: no recording yet; queued and processing: in the pipeline'),
    error: z.string().nullable().describe('why it failed; for a completed call: why it could not be reprocessed'),
    steps: z.array(step).describe('in the order in which they began'),
    ...fromPlatform,
    city: z.string().meta({ examples: ['בית שאן'] }),
    service_category: z.string().meta({ examples: ['שיווק נכס'] }),
    started_at: time.nullable(),
    ended_at: time.nullable(),
    duration_sec: z
      .int()
      .nullable()
      .meta({ examples: [26] }),
    created_at: time,
    completed_at: time.nullable().describe("the payload's timestamp"),
    failed_at: time.nullable(),
  })
  .meta({ id: 'ListedCall', description: 'A call without what was said in it.' })

export const call = listedCall
  .extend({
    recordings: z.array(recording).describe('in the order in which they started, which is that of the transcript'),
    transcript: z.string().nullable().describe('null before it is there and once retention has taken it'),
    summary: z.string().nullable().describe('null before it is there and once retention has taken it'),
    metadata: metadataText,
  })
  .meta({ id: 'Call' })

export const callList = listOf(listedCall).meta({ id: 'CallList' })

export type CallListQuery = z.infer<typeof callListQuery>
export type CallDetailsChange = z.infer<typeof callDetailsChange>
export type CallDetails = z.infer<typeof callDetails>
export type ListedCall = z.infer<typeof listedCall>
export type CallAnswer = z.infer<typeof call>
