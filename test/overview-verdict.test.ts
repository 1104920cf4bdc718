import { describe, expect, test } from 'vitest'
import { findingsOf, verdictOf } from '../src/admin/overview-verdict.ts'
import type { Overview } from '../src/admin/schemas/overview.ts'

type Facts = Omit<Overview, 'verdict' | 'findings'>

const step = (name: Overview['pipeline']['steps'][number]['step'], counts = {}) => ({
  ...{ step: name, running: 0, retried: 0, failed: 0, last_error: null },
  ...counts,
})
const dispatcher = {
  ...{ id: '0b6e2f6c-0000-4000-8000-000000000000', host: 'a', started_at: '2025-12-10T14:23:45Z' },
  ...{ slots: 64, alive: true, leaving: false },
}
const healthy: Facts = {
  read_at: '2025-12-10T14:23:45Z',
  deliveries: {
    ...{ due: 3, oldest_due_seconds: 2, delivered_last_hour: 100, failed_last_hour: 0, last_hour_is_whole: true },
  },
  routes: { active: 2, failing: 0, parked: 0, in_trouble: [] },
  dispatchers: [dispatcher],
  slots_unowned: 0,
  pipeline: {
    calls: { open: 1, queued: 1, processing: 1, failed: 9 },
    jobs: { due: 1, later: 1, active: 1 },
    paused: [],
    oldest_due_job_seconds: 5,
    steps: [step('audio', { running: 1 }), step('transcript')],
  },
  models: [],
  callbacks_unmatched: 0,
  requeues_running: 1,
}
const pipelineWith = (change: Partial<Facts['pipeline']>): Facts => ({
  ...healthy,
  pipeline: { ...healthy.pipeline, ...change },
})
const found = (facts: Facts, oldestActiveSeconds = 2) =>
  findingsOf(facts, oldestActiveSeconds).map(({ code, severity }) => `${severity}: ${code}`)

const modelWith = (told: Partial<Facts['models'][number]>): Facts => ({
  ...healthy,
  models: [
    { use: 'summary', model: 'a-model', known: true, shutdown_date: null, checked_at: healthy.read_at, ...told },
  ],
})

test('a model without a known date, or with one more than 60 days away, is all right', () => {
  expect(found(modelWith({}))).toEqual([])
  expect(found(modelWith({ known: null }))).toEqual([])
  expect(found(modelWith({ shutdown_date: '2026-02-09' }))).toEqual([])
})

test('work that goes on is all right', () => {
  expect(findingsOf(healthy, 60)).toEqual([])
  expect(verdictOf([])).toBe('all_right')
})

describe('needs somebody', () => {
  const { deliveries, routes } = healthy
  test.each<[string, Facts]>([
    ['trouble: no_dispatcher', { ...healthy, dispatchers: [], slots_unowned: 64 }],
    ['trouble: no_dispatcher', { ...healthy, dispatchers: [{ ...dispatcher, alive: false }], slots_unowned: 64 }],
    ['warning: slots_unowned', { ...healthy, slots_unowned: 1 }],
    ['warning: routes_failing', { ...healthy, routes: { ...routes, failing: 1 } }],
    ['warning: routes_parked', { ...healthy, routes: { ...routes, parked: 2 } }],
    ['warning: deliveries_failed', { ...healthy, deliveries: { ...deliveries, failed_last_hour: 1 } }],
    ['trouble: recordings_wait', pipelineWith({ oldest_due_job_seconds: 301 })],
    ['warning: calls_retried', pipelineWith({ steps: [step('summary', { running: 2, retried: 1 })] })],
    ['warning: calls_failed', pipelineWith({ steps: [step('transcript', { failed: 1 })] })],
    ['trouble: model_unknown', modelWith({ known: false })],
    ['warning: model_shuts_down', modelWith({ shutdown_date: '2026-02-08' })],
    ['warning: model_shuts_down', modelWith({ shutdown_date: '2025-12-11' })],
    ['trouble: model_shuts_down', modelWith({ shutdown_date: '2025-12-10' })],
    ['warning: callbacks_unmatched', { ...healthy, callbacks_unmatched: 1 }],
  ])('%s', (expected, facts) => {
    expect(found(facts)).toEqual([expected])
  })

  test('what is late on routes that nothing holds back, and not on failing ones', () => {
    expect(found(healthy, 61)).toEqual(['trouble: deliveries_late'])
    expect(found({ ...healthy, deliveries: { ...deliveries, oldest_due_seconds: 9_000 } }, 0)).toEqual([])
  })

  test('the worst first, and the worst is the verdict', () => {
    const facts: Facts = { ...pipelineWith({ oldest_due_job_seconds: 600 }), callbacks_unmatched: 2 }
    const parked = { ...facts, routes: { ...routes, parked: 1 } }
    expect(found(parked)).toEqual([
      'trouble: recordings_wait',
      'warning: routes_parked',
      'warning: callbacks_unmatched',
    ])
    expect(verdictOf(findingsOf(parked, 0))).toBe('trouble')
    expect(verdictOf(findingsOf({ ...healthy, callbacks_unmatched: 1 }, 0))).toBe('look')
  })

  test('in words that count', () => {
    const words = (parked: number) => findingsOf({ ...healthy, routes: { ...routes, parked } }, 0)[0]?.detail
    expect(words(1)).toMatch(/^1 route is parked:/)
    expect(words(1_234)).toMatch(/^1,234 routes are parked:/)
  })
})
