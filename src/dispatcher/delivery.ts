import type { Direction } from '../outbox/routing.ts'

/** One pending delivery as a read found it. `version` is what its settle must still find. */
export interface Delivery {
  id: string
  /** What is kept of its route may be forgotten meanwhile, its name and slot stay the same. */
  route: { readonly name: string; readonly slot: number }
  businessId: string
  direction: Direction
  callSid: string
  eventType: string
  version: number
  attemptCount: number
  /** Waits of the retry schedule that are used up. */
  step: number
  requeued: boolean
  /** Milliseconds since the epoch, by the database's clock. */
  createdMs: number
  /** `null`: the database has none, which only a hand or half a restore brings about. */
  payload: Buffer | null
}
