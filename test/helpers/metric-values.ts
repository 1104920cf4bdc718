import type { Metrics } from '../../src/telemetry/metrics.ts'

/** Values by series, such as `callbox_dispatchers` or `callbox_routes{state="parked"}`, of what is told now. */
export async function metricValues({ registry }: Pick<Metrics, 'registry'>): Promise<Record<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line.startsWith('callbox_'))
  return Object.fromEntries(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}
