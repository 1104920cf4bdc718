import { businesses } from './businesses.ts'
import { SeededRandom } from './random.ts'

/** How a receiver misbehaves for a spell. */
export type Misbehaviour = 'fails' | 'hangs' | 'resets' | 'garbage'

export type Fault =
  | { kind: 'kill' | 'term'; dispatcher: number }
  | { kind: 'stop' | 'database-half-open'; dispatcher: number; forMs: number }
  | { kind: 'database-crash' | 'connections-cut' | 'receivers-half-open'; forMs: number }

/** A fault of the main track: one at a time, so that what it did can be told from what the next one does. */
export interface PlannedFault {
  atMs: number
  fault: Fault
}

/** Receivers that misbehave, beside whatever the main track does. */
export interface Spell {
  atMs: number
  forMs: number
  misbehaviour: Misbehaviour
  businesses: string[]
}

/** What one dispatcher's wall clock does from a moment on. */
export interface ClockChange {
  atMs: number
  clock: 'an hour ahead' | 'an hour behind' | 'standing still' | 'right'
}

export interface Plan {
  faults: PlannedFault[]
  spells: Spell[]
  clockChanges: ClockChange[]
  /** When the producers stop. */
  endMs: number
}

/** From one fault to the next: a takeover and the start of whoever was killed fit in. */
export const periodMs = 8_000
const firstFaultMs = 3_000
/** Spells end well before the plan does, so that breakers that they opened have closed soon after. */
const calmBeforeEndMs = 3_000

const kinds = [
  'kill',
  'stop',
  'term',
  'database-crash',
  'connections-cut',
  'database-half-open',
  'receivers-half-open',
] as const

/** The same seed and length make the same plan. Every kind comes once in each round of seven. */
export function makePlan(seed: number, minutes: number, dispatchers: number): Plan {
  const ids = businesses.map(({ businessId }) => businessId)
  const random = new SeededRandom(seed)
  const endMs = Math.round(minutes * 60_000)
  const faults: PlannedFault[] = []
  let order: (typeof kinds)[number][] = []
  let last = -1
  for (let atMs = firstFaultMs; atMs + periodMs <= endMs + firstFaultMs; atMs += periodMs) {
    if (order.length === 0) order = random.shuffled(kinds)
    const kind = order.shift()
    if (kind === undefined) break
    // Not the one before: it may have only just come back.
    const others = Array.from({ length: dispatchers }, (_, index) => index).filter((index) => index !== last)
    const fault = makeFault(kind, random.pick(others), random)
    last = 'dispatcher' in fault ? fault.dispatcher : -1
    faults.push({ atMs: atMs + random.between(0, 500), fault })
  }
  const spells: Spell[] = []
  for (let atMs = 2_000; atMs < endMs - calmBeforeEndMs - 6_000; atMs += random.between(2_000, 5_000)) {
    spells.push({
      atMs,
      forMs: random.between(1_500, 6_000),
      misbehaviour: random.pick(['fails', 'hangs', 'resets', 'garbage']),
      businesses: random.shuffled(ids).slice(0, random.between(2, 6)),
    })
  }
  const clockChanges: ClockChange[] = []
  for (let atMs = 6_000; atMs < endMs - 1_000; atMs += random.between(8_000, 14_000)) {
    clockChanges.push({
      atMs,
      clock: random.pick(['an hour ahead', 'an hour behind', 'standing still', 'right']),
    })
  }
  return { faults, spells, clockChanges, endMs }
}

function makeFault(kind: (typeof kinds)[number], dispatcher: number, random: SeededRandom): Fault {
  switch (kind) {
    case 'kill':
    case 'term':
      return { kind, dispatcher }
    case 'stop':
    case 'database-half-open':
      return { kind, dispatcher, forMs: random.between(4_000, 5_000) }
    case 'database-crash':
    case 'connections-cut':
      return { kind, forMs: random.between(300, 2_500) }
    case 'receivers-half-open':
      return { kind, forMs: random.between(2_500, 4_000) }
  }
}

export function describeFault(fault: Fault): string {
  const who = 'dispatcher' in fault ? `dispatcher ${fault.dispatcher + 1}` : ''
  const long = 'forMs' in fault ? `${(fault.forMs / 1000).toFixed(1)} s` : ''
  switch (fault.kind) {
    case 'kill':
      return `kill -9 ${who}`
    case 'term':
      return `SIGTERM ${who}`
    case 'stop':
      return `SIGSTOP ${who} for ${long}`
    case 'database-half-open':
      return `connections of ${who} to the database half-open for ${long}`
    case 'database-crash':
      return `PostgreSQL stopped at once, started again after ${long}`
    case 'connections-cut':
      return `all database connections cut, refused for ${long}`
    case 'receivers-half-open':
      return `connections to a quarter of the receivers half-open for ${long}`
  }
}
