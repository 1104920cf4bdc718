import type { Knex } from 'knex'
import type { Metrics } from '../telemetry/metrics.ts'
import { mostCounted, readFleetState } from './fleet-statements.ts'
import { LivingDispatchers } from './living-dispatchers.ts'
import { ScrapeReading } from './scrape-reading.ts'
import { ScrapedGauges } from './scraped-gauges.ts'

/**
 * The gauges about the whole fleet, read from the database by each scrape of the API process: so they do not vanish
 * with the dispatchers.
 */
export function fleetMetrics(knex: Knex, metrics: Metrics): void {
  const living = new LivingDispatchers(() => performance.now())
  const gauges = new ScrapedGauges(metrics.registry, new ScrapeReading(() => readFleetState(knex)))
  gauges.add(
    'callbox_outbox_due',
    `Deliveries that are due, of routes that are not parked; counted to ${mostCounted}.`,
    ({ due }) => due,
  )
  gauges.add(
    'callbox_outbox_oldest_due_seconds',
    'How long the delivery that is due the longest has been so, of routes that are not parked; 0 when none is.',
    ({ oldestDueSeconds }) => oldestDueSeconds,
  )
  gauges.addByState(
    'callbox_routes_due',
    `Deliveries that are due, by the state of their route (active or failing); each counted to ${mostCounted}.`,
    ({ dueByRouteState }) => dueByRouteState,
  )
  gauges.addByState(
    'callbox_routes_oldest_due_seconds',
    'How long the delivery that is due the longest has been so, by the state of its route; 0 when none is.',
    ({ oldestDueByRouteState }) => oldestDueByRouteState,
  )
  gauges.addByState('callbox_routes', 'Routes (business and direction) by their state.', ({ routes }) => routes)
  gauges.add('callbox_dispatchers', 'Dispatchers whose beat moves.', ({ beats }) => living.count(beats))
  gauges.add(
    'callbox_callbacks_unmatched',
    `Stored callbacks that belong to no business, counted to ${mostCounted}.`,
    ({ unmatchedCallbacks }) => unmatchedCallbacks,
  )
  gauges.add(
    'callbox_outbox_unaccounted',
    'Events without a due row, a dead letter or a successful attempt; 0 unless rows were lost. Examined each hour.',
    ({ unaccounted }) => unaccounted,
  )
  gauges.add(
    'callbox_requeues_running',
    'Orders to requeue many deliveries that are being worked on.',
    ({ requeuesRunning }) => requeuesRunning,
  )
}
