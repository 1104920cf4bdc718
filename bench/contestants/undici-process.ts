/** undici alone: POSTs and nothing else, as fast as it will. */
import { serve } from '../harness/child.ts'
import { monotonicMs } from '../harness/clock.ts'
import { payload } from '../harness/payload.ts'
import { post } from './post.ts'

export type UndiciMethods = {
  /** @returns when the last answer was read. */
  run(argument: { url: string; count: number; concurrency: number }): Promise<number>
}

serve<UndiciMethods>({
  async run({ url, count, concurrency }) {
    let left = count
    const sendSome = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await post(url, payload)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, sendSome))
    return monotonicMs()
  },
})
