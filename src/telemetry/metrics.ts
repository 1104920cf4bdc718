import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/**
 * The metrics of this process, by their names in the contract. No label carries a business, a phone number or a URL.
 * Gauges about the whole fleet are set up by the API process alone (see `admin/fleet-metrics.ts`).
 */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  return {
    registry,
    attempts: new Counter({
      name: 'callbox_webhook_attempts_total',
      help: 'POSTs whose outcome is known, by result.',
      labelNames: ['direction', 'event_type', 'result'] as const,
      registers,
    }),
    deliveries: new Counter({
      name: 'callbox_webhook_deliveries_total',
      help: 'Deliveries that reached a final status, by that status.',
      labelNames: ['direction', 'event_type', 'outcome'] as const,
      registers,
    }),
    attemptDuration: new Histogram({
      name: 'callbox_webhook_attempt_duration_seconds',
      help: 'One POST, from its start to the end of the answer.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60],
      registers,
    }),
    commitToDelivery: new Histogram({
      name: 'callbox_webhook_commit_to_delivery_seconds',
      help: 'From the enqueue to the 2xx, deliveries on their first schedule only.',
      buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 1800, 7200, 36_000, 86_400],
      registers,
    }),
    dispatcherSlots: new Gauge({
      name: 'callbox_dispatcher_slots',
      help: 'Slots that this dispatcher owns, of 64.',
      registers,
    }),
    pipelineJobs: new Counter({
      name: 'callbox_pipeline_jobs_total',
      help: 'Pipeline steps that ended, by result: ok, retry or failed.',
      labelNames: ['step', 'result'] as const,
      registers,
    }),
    pipelineStepDuration: new Histogram({
      name: 'callbox_pipeline_step_duration_seconds',
      help: 'One run of a pipeline step.',
      labelNames: ['step'] as const,
      buckets: [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
      registers,
    }),
    callbacks: new Counter({
      name: 'callbox_callbacks_total',
      help: 'Twilio callbacks received, by kind and result: stored, forged, invalid or unavailable.',
      labelNames: ['kind', 'result'] as const,
      registers,
    }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
