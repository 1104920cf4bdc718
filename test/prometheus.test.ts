import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { dashboards, graphsOf, withVariables } from './helpers/dashboards.ts'
import { createTestDatabase } from './helpers/database.ts'
import { eventually } from './helpers/eventually.ts'
import { MonitoredFleet } from './helpers/monitored-fleet.ts'
import { isMissing } from './helpers/programs.ts'
import { type Prometheus, startPrometheus } from './helpers/prometheus.ts'
import { alertsIn } from './helpers/rules.ts'
import { ruleFiles } from './helpers/shipped-files.ts'

/** An hour of the shipped rules is a minute here. */
const factor = 60

const isSkipped = isMissing('prometheus', 'prometheus')

describe.skipIf(isSkipped)('a real Prometheus, on a running Callbox', { timeout: 120_000 }, () => {
  let fleet: MonitoredFleet
  let prometheus: Prometheus
  /** Every alert that was seen firing, with its words. */
  const fired = new Map<string, Record<string, string>>()

  beforeAll(async () => {
    fleet = await MonitoredFleet.start(await createTestDatabase())
    prometheus = await startPrometheus(factor, fleet.targets)
  })
  afterAll(async () => {
    await prometheus?.stop()
    await fleet?.stop()
  })

  const value = async (expr: string): Promise<number | undefined> => (await prometheus.query(expr))[0]?.value

  const untilFiring = (...names: string[]): Promise<boolean> =>
    eventually(
      `${names} fire`,
      async () => {
        const firing = await prometheus.firing()
        for (const { name, annotations } of firing) fired.set(name, annotations)
        return names.every((name) => firing.some((alert) => alert.name === name))
      },
      55_000,
    )

  test('all is well: every process is scraped, calls and webhooks flow, and no alert fires', async () => {
    fleet.produce()
    await fleet.record(3)
    await eventually('four processes are scraped', async () => (await value('sum(up)')) === 4)
    await eventually('every slot has an owner', async () => (await value('sum(callbox_dispatcher_slots)')) === 64)
    await eventually('calls are completed', async () => (await value('sum(callbox_calls_completed_total)')) === 3)
    await eventually('webhooks are delivered', async () => {
      const delivered = await value('sum(callbox_webhook_deliveries_total{outcome="delivered"})')
      return delivered !== undefined && delivered > 100
    })
    await eventually('no alert fires', async () => (await prometheus.firing()).length === 0)
  })

  test('receivers and calls fail: that fires, and every query of every panel returns data', async () => {
    await fleet.breakReceivers()
    await fleet.breakCalls()
    await fleet.loseEvent()
    await untilFiring(
      'CallboxEventsUnaccounted',
      'CallboxRouteParked',
      'CallboxFailureRate',
      'CallboxDeliveriesFailed',
      'CallboxCallsFailed',
    )
    for (const dashboard of dashboards) {
      for (const { title, targets } of graphsOf(dashboard)) {
        for (const { expr } of targets) {
          await eventually(`${dashboard.title}, ${title}: ${expr} returns data`, async () => {
            const samples = await prometheus.query(withVariables(expr, '30s'))
            return samples.length > 0
          })
        }
      }
    }
  })

  test('the counters tell what happened', async () => {
    const above0 = [
      'sum by (step) (callbox_webhook_retries_total)',
      'callbox_breaker_openings_total{direction="inbound"}',
      'callbox_breaker_probes_total{result="failed"}',
      'callbox_pipeline_jobs_total{step="audio", result="retry"}',
      'callbox_pipeline_jobs_total{step="transcript", result="failed"}',
      'callbox_pipeline_audio_seconds_total{job="callbox-worker"}',
      'callbox_pipeline_tokens_total{step="summary", kind="input"}',
      'callbox_pipeline_tokens_total{step="extraction", kind="output"}',
      'callbox_callbacks_total{result="forged"}',
      'callbox_callbacks_unmatched',
      'callbox_admin_sign_ins_refused_total{door="api"}',
      'callbox_calls{state="failed"}',
    ]
    for (const expr of above0) {
      await eventually(`${expr} is above 0`, async () => ((await value(`max(${expr})`)) ?? 0) > 0)
    }
  })

  test('the database accepts no callbacks, and then the disk fails too', async () => {
    await fleet.breakCallbacks()
    await untilFiring('CallboxCallbacksOnDisk', 'CallboxCallbacksSetAside', 'CallboxCallbacksRefused')
    await fleet.mendCallbacks()
    await eventually('none waits', async () => (await value('max(callbox_callback_spool_entries)')) === 0)
  })

  test('one model is about to shut down, and the service does not have the other', async () => {
    await fleet.retireModels()
    await untilFiring('CallboxModelShutsDown', 'CallboxModelUnknown')
  })

  test('the key is refused, and a dispatcher dies: the other one takes its slots over', async () => {
    await fleet.refuseKey()
    const [dying, survivor] = fleet.dispatchers.map(({ target }) => `{instance="${target}"}`)
    const slots = (await value(`callbox_dispatcher_slots${dying}`)) ?? 0
    const before = (await value(`callbox_dispatcher_takeovers_total${survivor}`)) ?? 0
    expect(slots).toBeGreaterThan(0)
    fleet.dispatchers[0]?.signal('SIGKILL')
    await untilFiring('CallboxPipelinePaused', 'CallboxTargetDown')
    await expect
      .poll(() => value(`callbox_dispatcher_takeovers_total${survivor}`))
      .toBeGreaterThanOrEqual(before + slots)
    expect(await value('sum(callbox_dispatcher_slots)')).toBe(64)
  })

  test('the other dispatcher and the worker die too', async () => {
    fleet.dispatchers[1]?.signal('SIGKILL')
    fleet.worker.signal('SIGKILL')
    await fleet.age()
    await untilFiring('CallboxNoDispatcher', 'CallboxDispatcherMetricsMissing', 'CallboxWorkerMetricsMissing')
    await untilFiring('CallboxPastDueGrowing', 'CallboxNothingDelivered', 'CallboxPipelineStuck')
    await untilFiring('CallboxPipelineCompletesNothing')
  })

  test('the API dies as well', async () => {
    fleet.api.signal('SIGKILL')
    await untilFiring('CallboxApiMetricsMissing')
  })

  test('every alert has fired by now, with words that could be filled in', () => {
    expect([...fired.keys()].sort()).toEqual(
      alertsIn(ruleFiles)
        .map(({ name }) => name)
        .sort(),
    )
    for (const [name, { summary, description, runbook }] of fired) {
      expect(`${name}: ${summary} ${description} ${runbook}`).not.toMatch(/error expanding|\{\{|undefined|<no value>/)
    }
  })
})
