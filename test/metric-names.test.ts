import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { callWorkMetrics } from '../src/admin/call-work-metrics.ts'
import { fleetMetrics } from '../src/admin/fleet-metrics.ts'
import { readConfig } from '../src/config.ts'
import { CallbackIntake } from '../src/ingress/callback-intake.ts'
import { spoolMetrics } from '../src/ingress/spool-metrics.ts'
import { ModelWatch } from '../src/pipeline/model-watch.ts'
import { Pause } from '../src/pipeline/pause.ts'
import { pipelineTimings } from '../src/pipeline/timings.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { createMetrics } from '../src/telemetry/metrics.ts'
import { createTestDatabase } from './helpers/database.ts'

const { knex } = await createTestDatabase()
const metrics = createMetrics()
fleetMetrics(knex, metrics)
callWorkMetrics(knex, metrics)
const log = createLogger('silent', 'test')
spoolMetrics(new CallbackIntake({ home: tmpdir(), knex, log }), metrics)
new Pause(knex, log, metrics, () => undefined)
new ModelWatch({ settings: readConfig({}).openai, knex, log, metrics, timings: pipelineTimings })
const told = (await metrics.registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('callbox_'))

test('grafana/README.md lists exactly the metrics that there are', () => {
  const readme = readFileSync(fileURLToPath(new URL('../grafana/README.md', import.meta.url)), 'utf8')
  const listed = [...readme.matchAll(/^\| `(callbox_\w+)` \|/gm)].map(([, name]) => name)
  expect(listed.sort()).toEqual(told.map(({ name }) => name).sort())
})

test('no label carries a business, a phone number or a URL', () => {
  const harmless = ['direction', 'event_type', 'result', 'outcome', 'step', 'state', 'kind', 'door', 'use']
  for (const name of told.map((metric) => metric.name)) {
    const { labelNames } = metrics.registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    expect([name, labelNames.filter((label) => !harmless.includes(label))]).toEqual([name, []])
  }
})
