import type { Bench } from './bench.ts'

/**
 * Measures all sides in each round, beginning with another one each time, so that what drifts does not favour one.
 *
 * @returns for each side its results by round: those of one index belong together.
 */
export async function alternate<K extends string, T>(
  bench: Bench,
  title: string,
  sides: Record<K, () => Promise<T>>,
  show: (result: T) => string,
): Promise<Record<K, T[]>> {
  const names = Object.keys(sides) as K[]
  const results = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<K, T[]>
  for (let round = 0; round < bench.rounds; round += 1) {
    const order = [...names.slice(round % names.length), ...names.slice(0, round % names.length)]
    for (const name of order) {
      const result = await sides[name]()
      results[name].push(result)
      bench.progress.say(`${title}, round ${round + 1} of ${bench.rounds}: ${name} ${show(result)}`)
    }
  }
  return results
}

export const ratios = (above: readonly number[], below: readonly number[]): number[] =>
  above.map((value, round) => value / (below[round] ?? Number.NaN))
