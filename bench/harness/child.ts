/** The processes of the benchmark: each runs one script, is called by messages, and ends with the one that started it. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

type Methods<M> = { [K in keyof M]: (argument: never) => unknown }
type ArgumentOf<F> = F extends (argument: infer A) => unknown ? A : never
type ResultOf<F> = F extends (argument: never) => infer R ? Awaited<R> : never

interface Call {
  call: number
  method: string
  argument: unknown
}

type Answer = { call: number; value: unknown } | { call: number; error: string }

export class Child<M extends Methods<M>> {
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  #calls = 0

  /** @param script relative to the directory of `bench/`. */
  constructor(script: string) {
    const path = fileURLToPath(new URL(`../${script}`, import.meta.url))
    this.#process = fork(path, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#exited = once(this.#process, 'exit').then(() => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${script} ended by itself`))
    })
    this.#process.on('message', (message) => {
      const answer = message as Answer
      const waiting = this.#waiting.get(answer.call)
      this.#waiting.delete(answer.call)
      if ('error' in answer) waiting?.reject(new Error(`${script}: ${answer.error}`))
      else waiting?.resolve(answer.value)
    })
  }

  call<K extends keyof M & string>(method: K, argument: ArgumentOf<M[K]>): Promise<ResultOf<M[K]>> {
    this.#calls += 1
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(this.#calls, waiting)
    this.#process.send({ call: this.#calls, method, argument } satisfies Call)
    return waiting.promise as Promise<ResultOf<M[K]>>
  }

  async stop(): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    await this.#exited
  }
}

/** CPU time that this process has used so far, in milliseconds. */
export function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** In the child: answers the calls of {@link Child}. */
export function serve<M extends Methods<M>>(methods: M): void {
  process.once('disconnect', () => process.exit())
  process.on('message', async (message) => {
    const { call, method, argument } = message as Call
    try {
      const value = await methods[method as keyof M](argument as never)
      process.send?.({ call, value } satisfies Answer)
    } catch (error) {
      process.send?.({ call, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    }
  })
}
