import type { HappenedFault } from './faults.ts'
import { describeFault, type Fault } from './plan.ts'
import type { ProducerLedger } from './producers.ts'
import type { ReceivedPost } from './receiver.ts'
import type { Handover } from './slot-watch.ts'

export interface DeliveryRow {
  id: string
  status: string
  attempt_count: number
}

export interface AttemptRow {
  delivery_id: string
  number: number
  result: string
  started_ms: number
}

/** The three records, and what was done meanwhile. */
export interface Evidence {
  produced: ProducerLedger
  posts: readonly ReceivedPost[]
  deliveries: readonly DeliveryRow[]
  attempts: readonly AttemptRow[]
  /** Deliveries that were changed when they were not pending any more. */
  overwritten: readonly string[]
  faults: readonly HappenedFault[]
  handovers: readonly Handover[]
  /** `DISPATCHER_CONCURRENCY`. */
  window: number
}

export interface Check {
  what: string
  found: string
  allowed: string
  passed: boolean
  /** Judged only where the machine's speed is not in question. */
  ofTime: boolean
}

/** A POST that is unrecorded, or that was answered 2xx and followed by another. */
interface Anomaly {
  id: string
  kind: 'unrecorded' | 'repeated'
  /** When it arrived, or what led to it began. */
  atMs: number
}

export interface Verdict {
  checks: Check[]
  /** What each fault left behind. */
  byFault: { what: string; unrecorded: number; repeated: number; deliveries: number }[]
  /** Ids that explain a failed check, a few of each. */
  examples: string[]
}

/** Faults that may leave a window of POSTs unrecorded or repeated; a SIGTERM leaves none. */
const isDisruptive = (fault: Fault): boolean => fault.kind !== 'term'
/** What was in flight when a fault began may have arrived so long before: the timeout, and a little. */
const beforeMs = 2_200
/** The last sends of one that trusts its lease, and of one that wakes. */
const afterMs = 3_000
/** Faults that outlast the lease of one dispatcher that lives on. */
const losesLease = ({ kind }: Fault): boolean => kind === 'stop' || kind === 'database-half-open'
/** The 2 s of `src/dispatcher/lease/lease.ts`, and how far its clock may be off. */
const leaseMs = 2_300
/** Until one that wakes has seen that it was buried. */
const wakingMs = 1_000
/** Attempts that never reached a receiver. */
const unreached = new Set(['dns', 'connect', 'tls', 'blocked'])
const takeoverMs = 5_000
const handoverMs = 1_000

export function judge(evidence: Evidence): Verdict {
  const { produced, posts, deliveries, window } = evidence
  const postsOf = Map.groupBy(posts, ({ id }) => id)
  const attemptsOf = Map.groupBy(evidence.attempts, ({ delivery_id }) => delivery_id)
  const rowOf = new Map(deliveries.map((row) => [row.id, row]))
  const isAccepted = (id: string): boolean => postsOf.get(id)?.some(({ answer }) => answer === 200) ?? false
  const examples: string[] = []
  const checks: Check[] = []
  const none = (what: string, ids: Iterable<string>): void => {
    const found = [...ids]
    checks.push({ what, found: String(found.length), allowed: '0', passed: found.length === 0, ofTime: false })
    for (const id of found.slice(0, 3)) examples.push(`${what}: ${story(id, rowOf, postsOf, attemptsOf)}`)
  }

  const committed = [...produced.committed.keys()]
  none(
    'lost: committed, and not delivered or not accepted',
    committed.filter((id) => rowOf.get(id)?.status !== 'delivered' || !isAccepted(id)),
  )
  none(
    'sent though rolled back',
    [...produced.rolledBack].filter((id) => postsOf.has(id)),
  )
  none(
    'sent though nobody committed it',
    [...postsOf.keys()].filter((id) => !produced.committed.has(id) && !produced.rolledBack.has(id)),
  )
  none(
    'in the outbox though nobody committed it',
    deliveries.map(({ id }) => id).filter((id) => !produced.committed.has(id)),
  )
  none(
    'delivered, and no receiver accepted it',
    deliveries.filter(({ id, status }) => status === 'delivered' && !isAccepted(id)).map(({ id }) => id),
  )
  none(
    'other bytes than were committed',
    posts.filter(({ id, bodyHash }) => produced.committed.get(id)?.bodyHash !== bodyHash).map(({ id }) => id),
  )
  none(
    'not signed, or with a wrong time',
    posts.filter(({ verified }) => !verified).map(({ id }) => id),
  )
  // An attempt's number is one more than its delivery had when it was read: a settle by a former owner that took
  // effect counts twice what bears one number.
  none(
    "a former owner's result took effect",
    deliveries
      .filter(
        ({ id, attempt_count }) =>
          attempt_count !== Math.max(0, ...(attemptsOf.get(id) ?? []).map(({ number }) => number)),
      )
      .map(({ id }) => id),
  )
  none('finished, and changed again', evidence.overwritten)

  none('sent past the lease', sentPastLease(attemptsOf, evidence.faults))

  const { anomalies, unheard } = findAnomalies(postsOf, attemptsOf)
  const { byFault, unexplained } = attribute(anomalies, evidence.faults)
  none('unrecorded or repeated with no fault to explain it', new Set(unexplained.map(({ id }) => id)))
  const most = byFault.filter(({ disruptive }) => disruptive).map((entry) => entry.deliveries)
  const largest = Math.max(0, ...most)
  checks.push({
    what: 'unrecorded or repeated, the most by one disruptive fault',
    found: String(largest),
    allowed: `<= ${window}`,
    passed: largest <= window,
    ofTime: false,
  })
  none(
    'unrecorded or repeated by a SIGTERM',
    byFault.filter(({ disruptive }) => !disruptive).flatMap(({ ids }) => [...ids]),
  )
  checks.push(...judgeTimes(evidence.handovers, posts))
  checks.push({
    what: 'repeats of a 2xx that the sender did not hear (recorded as no answer)',
    found: String(unheard),
    allowed: 'any',
    passed: true,
    ofTime: false,
  })
  return { checks, byFault, examples }
}

/**
 * Attempts of one number are by two owners, since a settle counts it up. One of them began while the former still had
 * its lease; when both began after that had run out, the former went on without it.
 */
function sentPastLease(
  attemptsOf: ReadonlyMap<string, AttemptRow[]>,
  faults: readonly HappenedFault[],
): Iterable<string> {
  const found = new Set<string>()
  for (const [id, attempts] of attemptsOf) {
    for (const sameNumber of Map.groupBy(attempts, ({ number }) => number).values()) {
      const [, second] = sameNumber.map(({ started_ms }) => started_ms).sort((a, b) => b - a)
      if (second === undefined) continue
      const isPast = ({ fault, beganMs, endedMs }: HappenedFault): boolean =>
        losesLease(fault) && second > beganMs + leaseMs && second < endedMs + wakingMs
      if (faults.some(isPast)) found.add(id)
    }
  }
  return found
}

function findAnomalies(
  postsOf: ReadonlyMap<string, ReceivedPost[]>,
  attemptsOf: ReadonlyMap<string, AttemptRow[]>,
): { anomalies: Anomaly[]; unheard: number } {
  const anomalies: Anomaly[] = []
  let unheard = 0
  for (const [id, posts] of postsOf) {
    const attempts = (attemptsOf.get(id) ?? []).filter(({ result }) => !unreached.has(result))
    for (const { atMs } of unrecordedOf(posts, attempts)) {
      anomalies.push({ id, kind: 'unrecorded', atMs })
    }
    // A failure on record that the receiver knows nothing of: its answer was lost on the way, and a repeat was due.
    const failures = attempts.filter(({ result }) => result !== 'ok').length
    let excused = Math.max(0, failures - posts.filter(({ answer }) => answer !== 200).length)
    for (const [index, { atMs, answer }] of posts.entries()) {
      if (answer !== 200 || index === posts.length - 1) continue
      excused -= 1
      if (excused >= 0) unheard += 1
      else anomalies.push({ id, kind: 'repeated', atMs: causeOf(atMs, attempts) })
    }
  }
  return { anomalies, unheard }
}

/**
 * Attempts of one number are by two owners. The later one may have had the delivery waiting in memory for seconds when
 * the former owner's result took effect, and its own came to nothing: what led to that is the former's attempt.
 */
function causeOf(atMs: number, attempts: readonly AttemptRow[]): number {
  const own = attempts.toSorted((a, b) => Math.abs(a.started_ms - atMs) - Math.abs(b.started_ms - atMs))[0]
  const sameNumber = attempts.filter(({ number }) => number === own?.number)
  return sameNumber.length > 1 ? Math.min(...sameNumber.map(({ started_ms }) => started_ms)) : atMs
}

/** The posts that are left when each attempt on record has been given the one that is nearest in time. */
function unrecordedOf(posts: readonly ReceivedPost[], attempts: readonly AttemptRow[]): ReceivedPost[] {
  const left = new Set(posts)
  if (attempts.length >= posts.length) return []
  for (const { started_ms } of attempts) {
    const byDistance = [...left].sort((a, b) => Math.abs(a.atMs - started_ms) - Math.abs(b.atMs - started_ms))
    const [nearest] = byDistance
    if (nearest) left.delete(nearest)
  }
  return [...left]
}

function attribute(anomalies: readonly Anomaly[], faults: readonly HappenedFault[]) {
  const entries = faults.map(({ fault, beganMs, endedMs }) => ({
    what: describeFault(fault),
    disruptive: isDisruptive(fault),
    beganMs,
    endedMs,
    unrecorded: 0,
    repeated: 0,
    ids: new Set<string>(),
  }))
  const unexplained: Anomaly[] = []
  for (const anomaly of anomalies) {
    const entry = entries.findLast(
      ({ beganMs, endedMs }) => anomaly.atMs >= beganMs - beforeMs && anomaly.atMs <= endedMs + afterMs,
    )
    if (entry === undefined) {
      unexplained.push(anomaly)
      continue
    }
    entry[anomaly.kind] += 1
    entry.ids.add(anomaly.id)
  }
  return { byFault: entries.map((entry) => ({ ...entry, deliveries: entry.ids.size })), unexplained }
}

function judgeTimes(handovers: readonly Handover[], posts: readonly ReceivedPost[]): Check[] {
  const takeovers: number[] = []
  const idle: number[] = []
  for (const { how, atMs, tookMs } of handovers) {
    const busy = new Set(
      posts
        .filter((post) => post.atMs <= atMs + 100 && (post.overMs === 0 || post.overMs >= atMs - 100))
        .map(({ businessId }) => Number(BigInt(businessId) % 64n)),
    )
    for (const [slot, took] of tookMs) {
      if (how === 'kill') takeovers.push(took ?? Number.POSITIVE_INFINITY)
      else if (!busy.has(slot)) idle.push(took ?? Number.POSITIVE_INFINITY)
    }
  }
  return [
    timeCheck('takeover after kill -9', takeovers, takeoverMs),
    timeCheck('hand-over of idle slots by SIGTERM', idle, handoverMs),
  ]
}

function timeCheck(what: string, tookMs: number[], limitMs: number): Check {
  const sorted = tookMs.toSorted((a, b) => a - b)
  const longest = sorted.at(-1) ?? 0
  const middle = sorted[Math.floor(sorted.length / 2)] ?? 0
  return {
    what: `${what}, longest of ${sorted.length} slots`,
    found: `${Math.round(longest)} ms (p50 ${Math.round(middle)})`,
    allowed: `<= ${limitMs} ms`,
    passed: longest <= limitMs,
    ofTime: true,
  }
}

function story(
  id: string,
  rowOf: ReadonlyMap<string, DeliveryRow>,
  postsOf: ReadonlyMap<string, ReceivedPost[]>,
  attemptsOf: ReadonlyMap<string, AttemptRow[]>,
): string {
  const clock = (ms: number): string => new Date(ms).toISOString().slice(14, 23)
  const row = rowOf.get(id)
  const posts = (postsOf.get(id) ?? []).map(({ atMs, answer }) => `${clock(atMs)} ${answer}`)
  const attempts = (attemptsOf.get(id) ?? []).map(
    ({ started_ms, number, result }) => `${clock(started_ms)} no. ${number} ${result}`,
  )
  const state = row ? `${row.status}, attempt_count ${row.attempt_count}` : 'no row'
  return `${id}: ${state}; posts: ${posts.join(', ') || 'none'}; attempts: ${attempts.join(', ') || 'none'}`
}
