import type { CallResource } from './twilio-api.ts'

export type Direction = 'inbound' | 'outbound'

/** What Twilio says about one leg, from a status callback or its Call resource; unknown is `''` or `null`. */
export interface CallFacts {
  direction: Direction | null
  /** `From` and `To` as Twilio writes them; see `partyOf`. */
  from: string
  to: string
  /** Twilio's CallStatus. */
  status: string
  endedAt: Date | null
  durationSec: number | null
}

const directions = new Map<string, Direction>([
  ['inbound', 'inbound'],
  ['trunking-originating', 'inbound'],
  ['outbound-api', 'outbound'],
  ['outbound-dial', 'outbound'],
  ['trunking-terminating', 'outbound'],
])

/**
 * Twilio's direction in our words; none at all is inbound. `null`: a value that is not known, and nothing may be
 * guessed from it. Only for what would carry a direction: a recording callback has none and means nothing by it.
 */
export function directionOf(twilioDirection: string | null | undefined): Direction | null {
  return twilioDirection ? (directions.get(twilioDirection) ?? null) : 'inbound'
}

/** In the order in which a call goes through them. One call has one final status; their order here only breaks ties. */
const liveStatuses = ['queued', 'initiated', 'ringing', 'answered', 'in-progress']
const finalStatuses = ['canceled', 'no-answer', 'busy', 'failed', 'completed']
const statusOrder = [...liveStatuses, ...finalStatuses]

/** Whether nothing more happens to a call with this CallStatus. */
export const isFinalStatus = (status: string): boolean => finalStatuses.includes(status)

/**
 * Two accounts of one call made one. Whatever the order and however often they are merged, the result is the same: of
 * two values the one that is later in the call's life stays, or else simply the greater one. Outbound stays over
 * inbound because silence about the direction means inbound, and only an explicit word means outbound.
 */
export function mergeFacts(a: CallFacts, b: CallFacts): CallFacts {
  return {
    direction: a.direction === 'outbound' || b.direction === 'outbound' ? 'outbound' : (a.direction ?? b.direction),
    from: a.from > b.from ? a.from : b.from,
    to: a.to > b.to ? a.to : b.to,
    status: laterStatus(a.status, b.status),
    endedAt: greater(a.endedAt, b.endedAt),
    durationSec: greater(a.durationSec, b.durationSec),
  }
}

function laterStatus(a: string, b: string): string {
  const [orderA, orderB] = [statusOrder.indexOf(a), statusOrder.indexOf(b)]
  if (orderA !== orderB) return orderA > orderB ? a : b
  return a > b ? a : b
}

function greater<T extends Date | number>(a: T | null, b: T | null): T | null {
  if (a === null || b === null) return a ?? b
  return a > b ? a : b
}

/** When a call began: its end less its length (`null` unless both are known). */
export function startOf(facts: CallFacts): Date | null {
  if (facts.endedAt === null || facts.durationSec === null) return null
  return new Date(facts.endedAt.getTime() - facts.durationSec * 1000)
}

export function factsOfCallResource(resource: CallResource): CallFacts {
  const { status } = resource
  return {
    direction: directionOf(resource.direction),
    from: resource.from.slice(0, 255),
    to: resource.to.slice(0, 255),
    status,
    endedAt: isFinalStatus(status) ? resource.end_time : null,
    durationSec: isFinalStatus(status) ? resource.duration : null,
  }
}
