import type { Knex } from 'knex'
import type { Metrics } from '../telemetry/metrics.ts'
import { mostCallsCounted, readCallWorkState } from './call-work-statements.ts'
import { ScrapeReading } from './scrape-reading.ts'
import { ScrapedGauges } from './scraped-gauges.ts'

/** The gauges about calls that are not completed and about their queue, read by each scrape of the API process. */
export function callWorkMetrics(knex: Knex, metrics: Metrics): void {
  const gauges = new ScrapedGauges(metrics.registry, new ScrapeReading(() => readCallWorkState(knex)))
  gauges.addByState(
    'callbox_calls',
    `Calls that are not completed, by state, each counted to ${mostCallsCounted}; open ones of the last day.`,
    ({ calls }) => calls,
  )
  gauges.addByState(
    'callbox_recording_queue_jobs',
    `Jobs of the recording queue: due, due later, or active; each counted to ${mostCallsCounted}.`,
    ({ jobs }) => jobs,
  )
  gauges.add(
    'callbox_recording_queue_oldest_due_seconds',
    'How long the recording job that is due the longest has waited for a worker; 0 when none is due.',
    ({ oldestDueJobSeconds }) => oldestDueJobSeconds,
  )
}
