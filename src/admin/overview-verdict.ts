import { daysLeft, modelSettings } from '../models/model-checks.ts'
import type { Overview, OverviewFinding } from './schemas/overview.ts'

/*
 * What needs somebody. The thresholds are those of the alerts in grafana/prometheus/rules, so that nobody is woken by
 * what this finds in order.
 */

const lateSeconds = 60
const slowestJobSeconds = 300
/** A rate limit that ends sooner needs no one. */
const minHoldSeconds = 60

type Finding = OverviewFinding
type Facts = Omit<Overview, 'verdict' | 'findings'>

/**
 * The worst first.
 *
 * @param oldestActiveSeconds of what is due on routes that nothing holds back: one that is failing waits for its own
 *   receiver.
 */
export function findingsOf(facts: Facts, oldestActiveSeconds: number): Finding[] {
  const findings = [
    ...dispatching(facts, oldestActiveSeconds),
    ...delivering(facts),
    ...paused(facts),
    ...processing(facts),
    ...aboutModels(facts),
    ...unmatched(facts),
  ]
  return [...findings.filter(isTrouble), ...findings.filter((finding) => !isTrouble(finding))]
}

export function verdictOf(findings: readonly Finding[]): Overview['verdict'] {
  if (findings.some(isTrouble)) return 'trouble'
  return findings.length > 0 ? 'look' : 'all_right'
}

const isTrouble = ({ severity }: Finding): boolean => severity === 'trouble'
const trouble = (code: Finding['code'], detail: string): Finding => ({ code, severity: 'trouble', detail })
const warning = (code: Finding['code'], detail: string): Finding => ({ code, severity: 'warning', detail })

function* dispatching(facts: Facts, oldestActiveSeconds: number): Generator<Finding> {
  const { dispatchers, slots_unowned: unowned } = facts
  if (!dispatchers.some(({ alive }) => alive)) {
    yield trouble('no_dispatcher', 'No dispatcher is alive. Nothing is sent; what is committed waits and is not lost.')
    return
  }
  if (unowned > 0) {
    yield warning(
      'slots_unowned',
      `${numbered(unowned, 'slot of 64 has', 'slots of 64 have')} no living dispatcher; the others take over within 5 seconds.`,
    )
  }
  if (oldestActiveSeconds > lateSeconds) {
    const minutes = numbered(Math.floor(oldestActiveSeconds / 60), 'minute', 'minutes')
    yield trouble(
      'deliveries_late',
      `Deliveries are late on routes that nothing holds back: the oldest for ${minutes}.`,
    )
  }
}

function* delivering({ deliveries, routes }: Facts): Generator<Finding> {
  const { failed_last_hour: failed } = deliveries
  if (routes.parked > 0) {
    yield warning(
      'routes_parked',
      `${numbered(routes.parked, 'route is', 'routes are')} parked: nothing is sent there until somebody unparks it or its URL changes.`,
    )
  }
  if (routes.failing > 0) {
    yield warning(
      'routes_failing',
      `${numbered(routes.failing, 'route fails', 'routes fail')}: one delivery at a time is tried there.`,
    )
  }
  if (failed > 0) {
    yield warning(
      'deliveries_failed',
      `${numbered(failed, 'delivery was', 'deliveries were')} given up in the last hour, and not tried again unless somebody requeues.`,
    )
  }
}

function* paused({ pipeline, read_at: readAt }: Facts): Generator<Finding> {
  for (const { step, error, since, until } of pipeline.paused) {
    const sinceSecond = `${since.slice(0, 19)}Z`
    if (until === null) {
      yield trouble('pipeline_paused', `Calls wait at ${step} since ${sinceSecond}, and none fails: ${error}.`)
    } else if (
      Math.max(Date.parse(until) - Date.parse(readAt), Date.parse(readAt) - Date.parse(since)) >
      minHoldSeconds * 1_000
    ) {
      yield warning('pipeline_paused', `Calls wait since ${sinceSecond} until ${until.slice(0, 19)}Z: ${error}.`)
    }
  }
}

function* processing({ pipeline }: Facts): Generator<Finding> {
  if (pipeline.oldest_due_job_seconds > slowestJobSeconds) {
    const minutes = numbered(Math.floor(pipeline.oldest_due_job_seconds / 60), 'minute', 'minutes')
    yield trouble('recordings_wait', `Recordings wait, and no worker takes them: the oldest for ${minutes}.`)
  }
  const steps = (count: 'retried' | 'failed'): string =>
    pipeline.steps
      .filter((step) => step[count] > 0)
      .map((step) => step.step)
      .join(', ')
  const sum = (count: 'retried' | 'failed'): number => pipeline.steps.reduce((all, step) => all + step[count], 0)
  if (sum('retried') > 0) {
    yield warning(
      'calls_retried',
      `${numbered(sum('retried'), 'call is', 'calls are')} tried again after an error, in: ${steps('retried')}.`,
    )
  }
  if (sum('failed') > 0) {
    yield warning(
      'calls_failed',
      `${numbered(sum('failed'), 'call', 'calls')} failed within a day, in: ${steps('failed')}. No webhook goes out for them unless they are reprocessed.`,
    )
  }
}

function* aboutModels({ models, read_at: readAt }: Facts): Generator<Finding> {
  for (const { use, model, known, shutdown_date: shutdownDate } of models) {
    const setting = modelSettings[use]
    if (known === false) {
      yield trouble(
        'model_unknown',
        `The model service does not have the model ${model}; calls wait. Set ${setting} to one that it has.`,
      )
      continue
    }
    const days = daysLeft({ shutdownDate }, new Date(readAt))
    if (days === null) continue
    const advice = `Set ${setting} to another.`
    if (days > 0) {
      const inDays = numbered(days, 'day', 'days')
      yield warning('model_shuts_down', `The model ${model} shuts down on ${shutdownDate}, in ${inDays}. ${advice}`)
    } else {
      yield trouble('model_shuts_down', `The model ${model} was to shut down on ${shutdownDate}. ${advice}`)
    }
  }
}

function* unmatched({ callbacks_unmatched: callbacks }: Facts): Generator<Finding> {
  if (callbacks > 0) {
    yield warning(
      'callbacks_unmatched',
      `${numbered(callbacks, 'callback of Twilio belongs', 'callbacks of Twilio belong')} to no business yet.`,
    )
  }
}

const numbers = new Intl.NumberFormat('en')
const numbered = (count: number, one: string, many: string): string =>
  `${numbers.format(count)} ${count === 1 ? one : many}`
