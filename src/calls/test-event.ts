import { randomUUID } from 'node:crypto'
import { callPayload } from './call-completed-event.ts'
import type { Direction } from './call-facts.ts'

export const testEventType = 'callbox.test'

/** No real CallSid: Twilio's begin with CA. */
export const testCallSid = (): string => `test-${randomUUID()}`

interface TestEvent {
  businessId: string
  callSid: string
  direction: Direction
  /** By the database's clock. */
  now: Date
  /** One of the business's, so that a flow that branches by it can be tried. `''`: it has none. */
  serviceCategory: string
}

/** What a `call.completed` looks like, of a call that nobody could take for a real one. */
export function testEventPayload({ businessId, callSid, direction, now, serviceCategory }: TestEvent): string {
  const durationSec = 26
  return callPayload(testEventType, {
    businessId,
    callSid,
    direction,
    completedAt: now,
    startedAt: new Date(now.getTime() - durationSec * 1_000),
    endedAt: now,
    durationSec,
    // Numbers that are kept for fiction, and belong to nobody.
    fromNumber: '+12025550123',
    toNumber: '+12025550123',
    transcript: 'This is a test event of Callbox. There was no call, and nobody said this.',
    summary: '### Test\nMade up, so that a flow can be built with it.',
    city: 'Sampletown',
    serviceCategory: serviceCategory || 'sample service',
    leadId: 'sample-lead',
    customerName: 'Sample Customer',
    agentName: 'Sample Agent',
    metadata: '{"test":true}',
  })
}
