import type { Knex } from 'knex'
import { readPipelinePauses } from '../calls/pipeline-pauses.ts'
import { readModelChecks } from '../models/model-checks.ts'
import { readCallWorkState } from './call-work-statements.ts'
import { DispatcherWatch } from './dispatcher-watch.ts'
import { readFleetState } from './fleet-statements.ts'
import { mostEnded, readOverviewState } from './overview-statements.ts'
import { findingsOf, verdictOf } from './overview-verdict.ts'
import { listRoutesInTrouble, toRouteState } from './route-records.ts'
import type { Overview } from './schemas/overview.ts'

const mostRoutes = 20

/** Reads how everything is. Those who ask while a reading is under way get that one. */
export class OverviewReader {
  readonly #knex: Knex
  readonly #watch: DispatcherWatch
  #reading: Promise<Overview> | null = null

  constructor(knex: Knex) {
    this.#knex = knex
    this.#watch = new DispatcherWatch(knex)
  }

  start(): void {
    this.#watch.start()
  }

  stop(): void {
    this.#watch.stop()
  }

  /** @throws Error when the database is away or takes longer than 4 s. */
  read(): Promise<Overview> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = null
    })
    return this.#reading
  }

  async #read(): Promise<Overview> {
    const [fleet, callWork, state, inTrouble, models, paused] = await Promise.all([
      readFleetState(this.#knex),
      readCallWorkState(this.#knex),
      readOverviewState(this.#knex),
      listRoutesInTrouble(this.#knex, mostRoutes),
      readModelChecks(this.#knex),
      readPipelinePauses(this.#knex),
    ])
    const living = this.#watch.living(state.dispatchers)
    const dispatchers = state.dispatchers.map(({ id, host, startedAt, slots, leaving }) => ({
      ...{ id, host, slots, leaving, alive: living.has(id), started_at: startedAt },
    }))
    const ofTheDead = dispatchers.filter(({ alive }) => !alive).reduce((sum, { slots }) => sum + slots, 0)
    const facts: Omit<Overview, 'verdict' | 'findings'> = {
      read_at: state.readAt.toISOString(),
      deliveries: {
        due: fleet.due,
        oldest_due_seconds: fleet.oldestDueSeconds,
        delivered_last_hour: state.ended.delivered,
        failed_last_hour: state.ended.failed,
        last_hour_is_whole: state.ended.looked < mostEnded,
      },
      routes: { ...fleet.routes, in_trouble: inTrouble.map(toRouteState) },
      dispatchers,
      slots_unowned: state.slotsFree + ofTheDead,
      pipeline: {
        calls: callWork.calls,
        jobs: callWork.jobs,
        paused,
        oldest_due_job_seconds: callWork.oldestDueJobSeconds,
        steps: state.steps,
      },
      models: models.map(({ use, model, known, shutdownDate, checkedAt }) => ({
        ...{ use, model, known, shutdown_date: shutdownDate, checked_at: checkedAt },
      })),
      callbacks_unmatched: fleet.unmatchedCallbacks,
      requeues_running: fleet.requeuesRunning,
    }
    const findings = findingsOf(facts, fleet.oldestDueByRouteState.active)
    return { ...facts, verdict: verdictOf(findings), findings }
  }
}
