import { businesses } from '../harness/businesses.ts'
import { Child } from '../harness/child.ts'
import { withEndpoint } from '../harness/rooms.ts'
import type { Run } from './contestants.ts'
import { rateBetween } from './rate.ts'
import type { UndiciMethods } from './undici-process.ts'

/** Of 8, 16, 32, 64, 128 and 256 the fastest. */
const concurrency = 16

export const undiciRun: Run = (bench, rowsEach) =>
  withEndpoint(bench, {}, async (endpoint) => {
    const child = new Child<UndiciMethods>('contestants/undici-process.ts')
    try {
      const count = rowsEach * businesses.length
      const endMs = await child.call('run', { url: `${endpoint.url}/1`, count, concurrency })
      return rateBetween(count, (await endpoint.until(count)).firstMs, endMs)
    } finally {
      await child.stop()
    }
  })
