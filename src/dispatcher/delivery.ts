import type { LaneKind, Route } from './routes/route.ts'

/** One pending delivery as a read found it. */
export interface Delivery {
  id: string
  route: Route
  /** The lane that it was read for. */
  kind: LaneKind
  callSid: string
  eventType: string
  /** The fence: what its settle must still find. */
  version: number
  attemptCount: number
  /** Waits of the retry schedule that are used up. */
  step: number
  requeued: boolean
  /** Milliseconds of the epoch, by the database's clock. */
  createdMs: number
  /** The size of the payload, in bytes. */
  bytes: number
  /** `null`: the event has none, which only happens after a manual change or half a restore. */
  payload: Buffer | null
}
