import type { CallEventHead } from './call-event.ts'
import type { Direction } from './call-facts.ts'

export const callCompleted = 'call.completed'

/** Everything that a `call.completed` says. Unknown texts are `''`. */
export interface CompletedCall {
  businessId: string
  callSid: string
  /** When it was completed by us, by the database's clock. */
  completedAt: Date
  direction: Direction
  fromNumber: string
  toNumber: string
  startedAt: Date
  endedAt: Date
  durationSec: number
  transcript: string
  summary: string
  city: string
  serviceCategory: string
  leadId: string
  customerName: string
  agentName: string
  /** A JSON object, as it was given. */
  metadata: string
}

/** UTC to the second, fractions cut off. */
const toSecond = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`

export const callCompletedPayload = (call: CompletedCall): string => callPayload(callCompleted, call)

/**
 * The payload of `call.completed`, or of another event that tells the same: compact JSON with exactly these keys
 * in this order, on which receivers rely. `phone` is the customer's number. The metadata is spliced in as the text that
 * it is, less the white space between its tokens: parsing it would reorder keys such as "1", and round long numbers.
 */
export function callPayload(eventType: string, call: CompletedCall): string {
  const head: CallEventHead = {
    event_type: eventType,
    timestamp: toSecond(call.completedAt),
    business_id: call.businessId,
    call_id: call.callSid,
    lead_id: call.leadId,
    phone: call.direction === 'inbound' ? call.fromNumber : call.toNumber,
    customer_name: call.customerName,
    direction: call.direction,
    city: call.city,
    service_category: call.serviceCategory,
    started_at: toSecond(call.startedAt),
    ended_at: toSecond(call.endedAt),
    duration_sec: call.durationSec,
    transcript: call.transcript,
    summary: call.summary,
    agent_name: call.agentName,
  }
  return `${JSON.stringify(head).slice(0, -1)},"metadata":${compactJson(call.metadata)}}`
}

/** Valid JSON without white space outside of its strings. */
const compactJson = (json: string): string => json.replace(/("(?:[^"\\]|\\.)*")|\s+/g, '$1')
