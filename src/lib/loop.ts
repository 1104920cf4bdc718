/**
 * A background loop: work, rest, work again, until it is stopped or the work says that it is over.
 *
 * `work` returns how long to rest, in milliseconds, or `null` when the loop is over. It handles its own errors.
 */
export class Loop {
  readonly #work: () => Promise<number | null>
  #isStopped = false
  /** A wake that arrived during the work; the next rest is left out. */
  #isAwake = false
  #endRest: (() => void) | null = null
  #running: Promise<void> | null = null

  constructor(work: () => Promise<number | null>) {
    this.#work = work
  }

  get isStopped(): boolean {
    return this.#isStopped
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Ends the rest, or leaves out the next one. */
  wake(): void {
    this.#isAwake = true
    this.#endRest?.()
  }

  /** Resolves when the current work has ended; no more begins. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.wake()
    await this.#running
  }

  /** Resolves when the loop is over. */
  async ended(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#isAwake = false
      const restMs = await this.#work()
      if (restMs === null) return
      if (!this.#isAwake && !this.#isStopped) await this.#rest(restMs)
    }
  }

  async #rest(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#endRest = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#endRest = null
  }
}
