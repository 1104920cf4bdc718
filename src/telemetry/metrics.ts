import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { EventTypeLabels } from './event-type-labels.ts'

/**
 * The metrics of this process, by their names in the contract. No label carries a business, a phone number or a URL.
 * Gauges about the whole fleet are set up by the API process alone (see `admin/fleet-metrics.ts`).
 */
export function createMetrics() {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const dispatcherSlots = new Gauge({
    name: 'callbox_dispatcher_slots',
    help: 'Slots that this dispatcher owns, of 64.',
    registers,
  })
  // A process that is no dispatcher tells nothing, rather than 0.
  dispatcherSlots.remove()
  return {
    registry,
    /** For every value of the label `event_type`. */
    eventTypes: new EventTypeLabels(),
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
    retries: new Counter({
      name: 'callbox_webhook_retries_total',
      help: 'Failed attempts that are tried again, by the step of the retry schedule that is waited; 1 is the first.',
      labelNames: ['direction', 'event_type', 'step'] as const,
      registers,
    }),
    breakerOpenings: new Counter({
      name: 'callbox_breaker_openings_total',
      help: 'Routes whose breaker opened.',
      labelNames: ['direction'] as const,
      registers,
    }),
    breakerProbes: new Counter({
      name: 'callbox_breaker_probes_total',
      help: 'Probes of open breakers, by result: ok or failed.',
      labelNames: ['direction', 'result'] as const,
      registers,
    }),
    dispatcherSlots,
    slotTakeovers: new Counter({
      name: 'callbox_dispatcher_takeovers_total',
      help: 'Slots taken over from dispatchers that died or left without giving them away.',
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
    callsCompleted: new Counter({
      name: 'callbox_calls_completed_total',
      help: 'Calls that the pipeline completed.',
      labelNames: ['direction'] as const,
      registers,
    }),
    transcribedAudio: new Counter({
      name: 'callbox_pipeline_audio_seconds_total',
      help: 'Seconds of audio that were transcribed, as the answers of the service tell them.',
      registers,
    }),
    modelTokens: new Counter({
      name: 'callbox_pipeline_tokens_total',
      help: 'Tokens that models read (input) and wrote (output), as the answers of the service tell them.',
      labelNames: ['step', 'kind'] as const,
      registers,
    }),
    signInsRefused: new Counter({
      name: 'callbox_admin_sign_ins_refused_total',
      help: 'Requests to the admin API and sign-ins to the console that were refused for their token.',
      labelNames: ['door'] as const,
      registers,
    }),
    callbacks: new Counter({
      name: 'callbox_callbacks_total',
      help: 'Twilio callbacks received, by kind and result: stored, repeated, forged, invalid, unavailable, wrong_method or unknown_path.',
      labelNames: ['kind', 'result'] as const,
      registers,
    }),
  }
}

export type Metrics = ReturnType<typeof createMetrics>
