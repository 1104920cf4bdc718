import { setTimeout as sleep } from 'node:timers/promises'
import type { AdminClient, AttemptView, CallView, DeliveryView } from './admin-client.ts'
import type { DemoCall } from './scenario.ts'
import { bad, dim, good, seconds } from './screen.ts'

const pollMs = 100

const stepWords: Record<string, string> = {
  audio: 'recording',
  transcript: 'transcript',
  summary: 'summary',
  extraction: 'city, category',
  completion: 'committed',
}

/**
 * Follows one call through the admin API, telling each step and each attempt once, until nothing more can happen or it is
 * `overdue`.
 */
export async function follow(
  call: DemoCall,
  admin: AdminClient,
  tell: (text: string) => void,
  signal: AbortSignal,
  overdue: AbortSignal,
): Promise<DeliveryView[]> {
  const told = new Set<string>()
  let deliveries: DeliveryView[] = []
  while (!overdue.aborted) {
    const view = await admin.call(call.callSid)
    tellSteps(view?.steps ?? [], told, tell)
    if (view?.state === 'failed') {
      tell(bad(`the call failed: ${view.error ?? 'no reason given'}`))
      return deliveries
    }
    if (view?.state === 'completed') {
      deliveries = await admin.deliveries(call.callSid)
      for (const delivery of deliveries) tellDelivery(delivery, told, tell)
      if (deliveries.length > 0 && deliveries.every(({ status }) => status !== 'pending')) return deliveries
    }
    await sleep(pollMs, undefined, { signal })
  }
  return deliveries
}

function tellSteps(steps: CallView['steps'], told: Set<string>, tell: (text: string) => void): void {
  const done: string[] = []
  for (const { step, finished_at, error } of steps) {
    const name = stepWords[step] ?? step
    if (finished_at !== null && !told.has(step)) {
      told.add(step)
      done.push(`${good('✓')} ${name}`)
    }
    if (finished_at === null && error !== null && !told.has(error)) {
      told.add(error)
      tell(bad(`✗ ${name}, to be tried again: ${error}`))
    }
  }
  if (done.length > 0) tell(done.join(' '))
}

function tellDelivery(delivery: DeliveryView, told: Set<string>, tell: (text: string) => void): void {
  for (const [index, attempt] of delivery.attempts.entries()) {
    if (told.has(attempt.id)) continue
    told.add(attempt.id)
    const isLast = index === delivery.attempts.length - 1
    tell(`webhook, attempt ${attempt.number}: ${outcome(attempt)}${isLast ? whatNext(delivery, attempt) : ''}`)
  }
  if (delivery.status === 'skipped') tell(`${dim('webhook skipped:')} ${delivery.reason ?? ''}`)
}

function outcome({ result, status_code, duration_ms }: AttemptView): string {
  if (result === 'ok') return good(`answered ${status_code} in ${duration_ms} ms`)
  if (result === 'http_error') return bad(`answered ${status_code} in ${duration_ms} ms`)
  if (result === 'timeout') return bad(`no answer in ${seconds(duration_ms)}`)
  return bad(result)
}

function whatNext(delivery: DeliveryView, attempt: AttemptView): string {
  if (delivery.status === 'delivered') return good(' → delivered')
  if (delivery.status === 'failed') return bad(' → given up')
  if (delivery.due_at === null) return ''
  const wait = delivery.due_at - (attempt.started_at + attempt.duration_ms)
  return dim(`; next attempt in ${seconds(Math.max(0, wait))}`)
}
