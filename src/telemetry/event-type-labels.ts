/** Callbox's own event types; they keep their label however many types other programs enqueue. */
const ownTypes: ReadonlySet<string> = new Set([
  'call.ended',
  'call.failed',
  'call.completed',
  'call.unprocessed',
  'call.updated',
  'endpoint.failing',
  'endpoint.parked',
  'endpoint.recovered',
  'delivery.failed',
  'callbox.test',
])

const maxOtherTypes = 100

/**
 * The label `event_type` of metrics. Any program may make up event types, and each is a series of each metric for ever:
 * the first hundred that this process sees have a label of their own, and the rest share `other`.
 */
export class EventTypeLabels {
  readonly #seen = new Set<string>()

  of(eventType: string): string {
    if (ownTypes.has(eventType) || this.#seen.has(eventType)) return eventType
    if (this.#seen.size >= maxOtherTypes) return 'other'
    this.#seen.add(eventType)
    return eventType
  }
}
