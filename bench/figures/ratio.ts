import { type ContestantName, contestants, type Raced } from '../contestants/contestants.ts'
import type { Bench, Figure } from '../harness/bench.ts'
import { perSecond } from '../harness/progress.ts'
import { alternate, ratios } from '../harness/rounds.ts'

const names = Object.keys(contestants) as ContestantName[]
const callbox: ContestantName[] = ['Callbox', 'Callbox, 2 dispatchers']
const undici: ContestantName[] = ['undici alone', 'undici alone, 2 processes']

/** One dispatcher against one process of each. */
const rateGoals: [against: ContestantName, atLeast: number | null][] = [
  ['graphile-worker tuned', 4],
  ['graphile-worker default', null],
  ['pg-boss burst', 1.5],
  ['pg-boss polling', null],
]
const cpuGoals: [against: ContestantName, atMost: number][] = [
  ['undici alone', 2.5],
  ['graphile-worker tuned', 0.35],
  ['pg-boss burst', 0.7],
]

const show = ({ deliveriesPerSecond, cpuUs }: Raced): string =>
  `${perSecond(deliveriesPerSecond)} (CPU for each, PostgreSQL included: ${cpuUs === null ? '?' : Math.round(cpuUs)} µs)`

/** Callbox as shipped against a bare HTTP client and two queues, each with the same work. */
export async function measureRatio(bench: Bench): Promise<Figure[]> {
  const scale = bench.quick ? 0.25 : 1
  const sides = Object.fromEntries(
    names.map((name) => [name, () => contestants[name].run(bench, Math.ceil(contestants[name].rowsEach * scale))]),
  ) as Record<ContestantName, () => Promise<Raced>>
  const measured = await alternate(bench, 'ratio', sides, show)
  const rates = (name: ContestantName): number[] => measured[name].map((raced) => raced.deliveriesPerSecond)
  const cpu = (name: ContestantName): number[] => measured[name].map(({ cpuUs }) => cpuUs ?? Number.NaN)
  const best = (of: ContestantName[]): number[] => {
    const rounds = of.map(rates)
    return rates('Callbox').map((_, round) => Math.max(...rounds.map((each) => each[round] ?? 0)))
  }
  bench.maxima.push(...rates('Callbox'))
  const canTellCpu = !names.some((name) => cpu(name).some(Number.isNaN))
  if (!canTellCpu)
    bench.progress.say('ratio: NO CPU ROWS, since this system does not report the CPU time of PostgreSQL')
  return [
    ...names.map((name): Figure => ({ title: name, unit: '/s', goal: null, values: rates(name) })),
    {
      title: 'Callbox, best of 1 and 2 dispatchers / undici alone, best of 1 and 2 processes',
      unit: '×',
      goal: { is: 'at least', value: 0.6 },
      values: ratios(best(callbox), best(undici)),
    },
    ...rateGoals.map(
      ([against, atLeast]): Figure => ({
        title: `Callbox / ${against}`,
        unit: '×',
        goal: atLeast === null ? null : { is: 'at least', value: atLeast },
        values: ratios(rates('Callbox'), rates(against)),
      }),
    ),
    ...(canTellCpu ? cpuGoals : []).map(
      ([against, atMost]): Figure => ({
        title: `CPU per delivery, PostgreSQL included: Callbox / ${against}`,
        unit: '×',
        goal: { is: 'at most', value: atMost },
        values: ratios(cpu('Callbox'), cpu(against)),
      }),
    ),
  ]
}
