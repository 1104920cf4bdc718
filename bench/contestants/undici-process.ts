/** undici alone: POSTs and nothing else, as fast as it will. */
import { ownCpuMs, serve } from '../harness/child.ts'
import { monotonicMs } from '../harness/clock.ts'
import { payload } from '../harness/payload.ts'
import { post } from './post.ts'

export type UndiciMethods = {
  ready(argument: null): void
  /** @returns when the last answer was read, and the CPU time it took, in milliseconds. */
  run(argument: { url: string; count: number; concurrency: number }): Promise<{ endMs: number; cpuMs: number }>
}

serve<UndiciMethods>({
  ready: () => undefined,

  async run({ url, count, concurrency }) {
    const beforeMs = ownCpuMs()
    let left = count
    const sendSome = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await post(url, payload)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, sendSome))
    return { endMs: monotonicMs(), cpuMs: ownCpuMs() - beforeMs }
  },
})
