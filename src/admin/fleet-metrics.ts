import type { Knex } from 'knex'
import { Gauge } from 'prom-client'
import type { Metrics } from '../telemetry/metrics.ts'
import { type FleetReading, readFleetState } from './fleet-statements.ts'
import { LivingDispatchers } from './living-dispatchers.ts'

/** How long a scrape waits for the database, in milliseconds; Prometheus itself waits 10 s unless set. */
const patienceMs = 5_000

/**
 * The gauges about the whole fleet, read from the database by each scrape of the API process. When the database does
 * not answer in time they have no value, so that the scrape still tells the rest and no stale number looks good.
 */
export function fleetMetrics(knex: Knex, metrics: Metrics): void {
  const living = new LivingDispatchers(() => performance.now())
  let reading: Promise<FleetReading | null> | null = null
  /** All gauges of a scrape share one reading, and a slow one is not joined by a second. */
  const readOnce = (): Promise<FleetReading | null> => {
    reading ??= readFleetState(knex)
      .catch(() => null)
      .finally(() => {
        reading = null
      })
    return withinPatience(reading)
  }
  const gauge = (name: string, help: string, read: (state: FleetReading) => number): void => {
    new Gauge({
      name,
      help,
      registers: [metrics.registry],
      async collect() {
        const state = await readOnce()
        if (state === null) this.remove()
        else this.set(read(state))
      },
    })
  }

  gauge(
    'callbox_outbox_due',
    'Deliveries that are due, of routes that are not parked; counted to 100000.',
    (state) => state.due,
  )
  gauge(
    'callbox_outbox_oldest_due_seconds',
    'How long the delivery that is due the longest has been so, of routes that are not parked; 0 when none is.',
    (state) => state.oldestDueSeconds,
  )
  gauge('callbox_dispatchers', 'Dispatchers whose beat moves.', (state) => living.count(state.beats))
  gauge(
    'callbox_callbacks_unmatched',
    'Stored callbacks that belong to no business, counted to 100000.',
    (state) => state.unmatchedCallbacks,
  )
  new Gauge({
    name: 'callbox_routes',
    help: 'Routes (business and direction) by their state.',
    labelNames: ['state'],
    registers: [metrics.registry],
    async collect() {
      const state = await readOnce()
      this.reset()
      for (const [name, count] of Object.entries(state?.routes ?? {})) this.set({ state: name }, count)
    },
  })
}

async function withinPatience<T>(work: Promise<T>): Promise<T | null> {
  const { promise: tooLate, resolve } = Promise.withResolvers<null>()
  const timer = setTimeout(resolve, patienceMs, null)
  return Promise.race([work, tooLate]).finally(() => clearTimeout(timer))
}
