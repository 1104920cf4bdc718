import { onTestFinished } from 'vitest'
import { readConfig } from '../../src/config.ts'
import { type RunningDispatcher, startDispatcher } from '../../src/dispatcher/dispatcher.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { createMetrics, type Metrics } from '../../src/telemetry/metrics.ts'
import { sealer } from './businesses.ts'

export interface TestDispatcher extends RunningDispatcher {
  metrics: Metrics
}

/** A dispatcher in this process that may post to loopback; stopped when the test ends. */
export function runDispatcher(databaseUrl: string, settings: Record<string, string> = {}): TestDispatcher {
  const dispatcher = startTestDispatcher(databaseUrl, settings)
  onTestFinished(() => dispatcher.stop())
  return dispatcher
}

/** The same, stopped by the caller. */
export function startTestDispatcher(databaseUrl: string, settings: Record<string, string> = {}): TestDispatcher {
  const config = readConfig({
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms',
    WEBHOOK_TIMEOUT: '1s',
    ...settings,
  })
  const log = createLogger(process.env['LOG_LEVEL'] ?? 'silent', 'dispatcher')
  const metrics = createMetrics()
  const parts = {
    config,
    databaseUrl,
    directUrl: config.databaseDirectUrl ?? databaseUrl,
    sealer,
    host: 'test',
    log,
    metrics,
  }
  const dispatcher = startDispatcher(parts)
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => {
    stopped ??= dispatcher.stop()
    return stopped
  }
  return { ready: () => dispatcher.ready(), stop, metrics }
}
