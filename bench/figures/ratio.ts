import { contestants } from '../contestants/contestants.ts'
import type { Bench, Figure } from '../harness/bench.ts'
import { perSecond } from '../harness/progress.ts'
import { alternate, ratios } from '../harness/rounds.ts'

const goals: [against: keyof typeof contestants, atLeast: number | null][] = [
  ['undici alone', 0.6],
  ['graphile-worker tuned', 5],
  ['graphile-worker default', null],
  ['pg-boss tuned', 10],
  ['pg-boss polling', 10],
]

/** Callbox as shipped against a bare HTTP client and two queues, each with the same work. */
export async function measureRatio(bench: Bench): Promise<Figure[]> {
  const scale = bench.quick ? 0.25 : 1
  const names = Object.keys(contestants) as (keyof typeof contestants)[]
  const sides = Object.fromEntries(
    names.map((name) => [name, () => contestants[name].run(bench, Math.ceil(contestants[name].rowsEach * scale))]),
  ) as Record<keyof typeof contestants, () => Promise<number>>
  const measured = await alternate(bench, 'ratio', sides, perSecond)
  bench.maxima.push(...measured.Callbox)
  return [
    ...names.map((name): Figure => ({ title: name, unit: '/s', goal: null, values: measured[name] })),
    ...goals.map(
      ([against, atLeast]): Figure => ({
        title: `Callbox / ${against}`,
        unit: '×',
        goal: atLeast === null ? null : { is: 'at least', value: atLeast },
        values: ratios(measured.Callbox, measured[against]),
      }),
    ),
  ]
}
