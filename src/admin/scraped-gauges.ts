import { Gauge, type Registry } from 'prom-client'
import type { ScrapeReading } from './scrape-reading.ts'

/** Gauges whose values each scrape reads anew; those of a reading that failed have none. */
export class ScrapedGauges<T> {
  readonly #registers: Registry[]
  readonly #reading: ScrapeReading<T>

  constructor(registry: Registry, reading: ScrapeReading<T>) {
    this.#registers = [registry]
    this.#reading = reading
  }

  add(name: string, help: string, read: (reading: T) => number): void {
    const reading = this.#reading
    new Gauge({
      name,
      help,
      registers: this.#registers,
      async collect() {
        const taken = await reading.take()
        if (taken === null) this.remove()
        else this.set(read(taken))
      },
    })
  }

  /** One value for each state. */
  addByState(name: string, help: string, read: (reading: T) => Record<string, number>): void {
    const reading = this.#reading
    new Gauge({
      name,
      help,
      labelNames: ['state'],
      registers: this.#registers,
      async collect() {
        const taken = await reading.take()
        this.reset()
        for (const [state, value] of Object.entries(taken === null ? {} : read(taken))) this.set({ state }, value)
      },
    })
  }
}
