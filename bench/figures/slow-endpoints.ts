import type { Bench, Figure } from '../harness/bench.ts'
import { alternate, ratios } from '../harness/rounds.ts'
import { type Steady, showSteady, steadyRate } from '../harness/steady-rate.ts'

const delayMs = 1_000
/** A route that has never been sent on begins with few POSTs at once, and one step takes as long as an answer. */
const runInMs = 10_000
/** One POST a second for each place, so the default window of 1,000 makes no more than 1,000/s. */
const defaultMaxPerSecond = 1_100
const wideSettings = { DISPATCHER_CONCURRENCY: '20000', DISPATCHER_MEMORY: '128MB' }
const wideMaxPerSecond = 9_000

/** All endpoints answer after a second: a POST that waits costs a place in the window and nothing else. */
export async function measureSlowEndpoints(bench: Bench): Promise<Figure[]> {
  const run = (dispatchers: number, maxPerSecond: number, settings: Record<string, string> = {}): Promise<Steady> =>
    steadyRate(bench, { dispatchers, settings, delayMs, runInMs, seconds: bench.quick ? 3 : 10, maxPerSecond })
  const sides = {
    'default window': () => run(1, defaultMaxPerSecond),
    'two of them': () => run(2, 2 * defaultMaxPerSecond),
    'window of 20,000': () => run(1, wideMaxPerSecond, wideSettings),
  }
  const measured = await alternate(bench, 'endpoints that answer after 1 s', sides, showSteady)
  const rates = (side: keyof typeof sides): number[] => measured[side].map(({ perSecond }) => perSecond)
  const title = 'endpoints that answer after 1 s:'
  return [
    {
      title: `${title} default window`,
      unit: '/s',
      goal: { is: 'at least', value: 950 },
      values: rates('default window'),
    },
    {
      title: `${title} two dispatchers / one, default window`,
      unit: '×',
      goal: { is: 'at least', value: 1.95 },
      values: ratios(rates('two of them'), rates('default window')),
    },
    {
      title: `${title} window of 20,000`,
      unit: '/s',
      goal: { is: 'at least', value: 5_000 },
      values: rates('window of 20,000'),
    },
    {
      title: `${title} resident memory with it`,
      unit: 'MB',
      goal: { is: 'at most', value: 500 },
      values: measured['window of 20,000'].map(({ peakResidentMb }) => peakResidentMb),
    },
  ]
}
