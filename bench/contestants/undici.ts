import { businesses } from '../harness/businesses.ts'
import { Child } from '../harness/child.ts'
import { withEndpoint } from '../harness/rooms.ts'
import type { Run } from './contestants.ts'
import { rateBetween } from './rate.ts'
import type { UndiciMethods } from './undici-process.ts'

/** The fastest number of loops (NOTES.md, "contestants"). */
const concurrency = 16

export const undiciRun =
  ({ processes }: { processes: number }): Run =>
  (bench, rowsEach) =>
    withEndpoint(bench, {}, async (endpoint) => {
      const children = Array.from(
        { length: processes },
        () => new Child<UndiciMethods>('contestants/undici-process.ts'),
      )
      try {
        // A process that has not loaded its modules yet would leave the machine to the other one.
        await Promise.all(children.map((child) => child.call('ready', null)))
        const count = (rowsEach * businesses.length) / processes
        const work = { url: `${endpoint.url}/1`, count, concurrency }
        const runs = await Promise.all(children.map((child) => child.call('run', work)))
        const total = count * processes
        const { firstMs } = await endpoint.until(total)
        const endMs = Math.max(...runs.map((run) => run.endMs))
        const cpuMs = runs.reduce((sum, run) => sum + run.cpuMs, 0)
        return { deliveriesPerSecond: rateBetween(total, firstMs, endMs), cpuUs: (cpuMs * 1000) / total }
      } finally {
        await Promise.all(children.map((child) => child.stop()))
      }
    })
