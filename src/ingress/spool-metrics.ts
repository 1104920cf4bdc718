import { Gauge } from 'prom-client'
import type { Metrics } from '../telemetry/metrics.ts'
import type { CallbackIntake } from './callback-intake.ts'

/** What happens to callbacks, and what waits on this process's disk. Only API processes have these metrics. */
export function spoolMetrics(intake: CallbackIntake, { registry, callbacks }: Metrics): void {
  // Starting at 0 makes the first refusal visible as a rise.
  for (const kind of ['call_status', 'recording_status']) {
    for (const result of ['stored', 'spooled', 'unavailable']) callbacks.inc({ kind, result }, 0)
  }
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect: function collect() {
        this.set(read())
      },
    })
  }
  gauge(
    'callbox_callback_spool_entries',
    'Callbacks of Twilio on disk that wait for the database.',
    () => intake.state.waiting,
  )
  gauge(
    'callbox_callback_spool_oldest_seconds',
    'How long the oldest callback on disk has waited; 0 when none does.',
    () => intake.state.oldestSeconds,
  )
  gauge(
    'callbox_callback_spool_damaged_entries',
    'Callbacks on disk that can never be stored and were set aside.',
    () => intake.state.damaged,
  )
}
