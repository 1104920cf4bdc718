import type { Bench, Figure } from '../harness/bench.ts'
import { alternate, ratios } from '../harness/rounds.ts'
import { type Steady, showSteady, steadyRate } from '../harness/steady-rate.ts'

/** Endpoints whose answers cost the machine little: two windows are twice one, as long as PostgreSQL keeps up. */
export async function measureTwoDispatchers(bench: Bench): Promise<Figure[]> {
  const run = (dispatchers: number): Promise<Steady> =>
    steadyRate(bench, {
      dispatchers,
      // A window that two dispatchers on two cores can fill.
      settings: { DISPATCHER_CONCURRENCY: '256' },
      delayMs: 50,
      runInMs: 1_000,
      seconds: bench.quick ? 2 : 5,
      maxPerSecond: 6_000 * dispatchers,
    })
  const measured = await alternate(bench, 'two dispatchers', { one: () => run(1), two: () => run(2) }, showSteady)
  const rates = (side: Steady[]): number[] => side.map(({ perSecond }) => perSecond)
  return [
    { title: 'one dispatcher, endpoints of 50 ms, window of 256', unit: '/s', goal: null, values: rates(measured.one) },
    {
      title: 'two dispatchers / one, endpoints of 50 ms, window of 256',
      unit: '×',
      goal: null,
      values: ratios(rates(measured.two), rates(measured.one)),
    },
  ]
}
