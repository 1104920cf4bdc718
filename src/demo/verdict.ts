import type { DeliveryView } from './admin-client.ts'
import type { ReceivedPost } from './receiver.ts'
import type { DemoCall } from './scenario.ts'

export interface Verdict {
  calls: number
  delivered: number
  skipped: number
  attempts: number
  /** Webhooks that should have been accepted at their endpoint and were not. */
  lost: number
  /** POSTs of a delivery that its endpoint had accepted already. */
  duplicates: number
  /** Everything that is not as it must be, a sentence each; none: all is well. */
  problems: string[]
}

const isAccepted = (post: ReceivedPost): boolean =>
  post.verified && typeof post.answer === 'number' && post.answer >= 200 && post.answer < 300

/**
 * Holds the receiver's ledger against what the calls should have led to, and against what the API says of it.
 *
 * @param knownWords whether the stand-in transcribed, so that the text is known to the letter.
 */
export function judge(
  calls: readonly DemoCall[],
  deliveries: ReadonlyMap<DemoCall, readonly DeliveryView[]>,
  posts: readonly ReceivedPost[],
  knownWords: boolean,
): Verdict {
  const problems: string[] = []
  const accepted = new Set<string>()
  let duplicates = 0
  for (const post of posts) {
    if (!post.verified) problems.push(`a POST to ${post.path} has a signature that does not fit`)
    if (accepted.has(post.webhookId)) duplicates += 1
    if (isAccepted(post)) accepted.add(post.webhookId)
  }

  let lost = 0
  for (const call of calls) {
    const own = posts.filter((post) => parse(post)['call_id'] === call.callSid)
    const arrived = own.filter(isAccepted)
    if (call.endpoint !== null && arrived.length === 0) lost += 1
    for (const post of own) {
      if (post.path !== call.endpoint) problems.push(`call ${call.number} was posted to ${post.path}`)
    }
    if (own.some((post) => !post.body.equals(own[0]?.body ?? post.body) || post.webhookId !== own[0]?.webhookId)) {
      problems.push(`call ${call.number} was not posted with the same bytes and id each time`)
    }
    if (arrived[0]) problems.push(...wrongIn(parse(arrived[0]), call, knownWords))
    const ends = (deliveries.get(call) ?? []).map((delivery) => delivery.status)
    const wanted = call.endpoint === null ? 'skipped' : 'delivered'
    if (ends.join() !== wanted) problems.push(`call ${call.number} ended ${ends.join() || 'without a delivery'}`)
  }

  const all = [...deliveries.values()].flat()
  const attempts = all.flatMap((delivery) => delivery.attempts).length
  if (attempts !== posts.length) problems.push(`${attempts} attempts are recorded, ${posts.length} POSTs arrived`)
  if (lost > 0) problems.push(`${lost} webhooks are lost`)
  if (duplicates > 0) problems.push(`${duplicates} webhooks came again after they had been accepted`)
  const count = (status: string): number => all.filter((delivery) => delivery.status === status).length
  return {
    calls: calls.length,
    delivered: count('delivered'),
    skipped: count('skipped'),
    attempts,
    lost,
    duplicates,
    problems,
  }
}

function parse(post: ReceivedPost): Record<string, unknown> {
  try {
    return JSON.parse(post.body.toString('utf8'))
  } catch {
    return {}
  }
}

function wrongIn(payload: Record<string, unknown>, call: DemoCall, knownWords: boolean): string[] {
  const { transcript, summary, city, service_category } = call.speech
  const inbound = call.direction === 'inbound'
  const second = (time: number): string => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z')
  const expected: Record<string, unknown> = {
    event_type: 'call.completed',
    business_id: call.business.id,
    call_id: call.callSid,
    phone: inbound ? call.from : call.to,
    direction: inbound ? 'inbound' : 'outbound',
    started_at: second(call.startedAt.getTime()),
    ended_at: second(call.startedAt.getTime() + call.durationSec * 1000),
    duration_sec: call.durationSec,
    ...call.details,
    ...(knownWords ? { transcript, summary, city, service_category } : {}),
  }
  return Object.entries(expected)
    .filter(([key, value]) => JSON.stringify(payload[key]) !== JSON.stringify(value))
    .map(([key]) => `call ${call.number} arrived with another ${key} than it had`)
}
