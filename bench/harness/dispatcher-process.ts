import { CallboxProcess } from './callbox-process.ts'
import type { BenchDatabase } from './database.ts'
import { until } from './until.ts'

const slotCount = 64
const shareMs = 30_000

/** What a dispatcher reports at `/metrics`. */
export interface DispatcherFigures {
  delivered: number
  attempts: number
  slots: number
  residentBytes: number
  cpuSeconds: number
}

/** `callbox start dispatcher`; figures by its metrics. */
export class DispatcherProcess {
  readonly #process: CallboxProcess

  /** @param profileInto a directory for V8's CPU profiles; `null`: none are made. */
  constructor(database: BenchDatabase, profileInto: string | null, settings: Record<string, string> = {}) {
    this.#process = new CallboxProcess('dispatcher', database, profileInto, { METRICS_PORT: '0', ...settings })
  }

  async figures(): Promise<DispatcherFigures> {
    const response = await fetch(`${await this.#process.address()}/metrics`)
    const lines = (await response.text()).split('\n')
    const sum = (name: string, label = ''): number =>
      lines
        .filter((line) => line.startsWith(name) && line.includes(label))
        .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0)
    return {
      delivered: sum('callbox_webhook_deliveries_total{', 'outcome="delivered"'),
      attempts: sum('callbox_webhook_attempts_total{'),
      slots: sum('callbox_dispatcher_slots '),
      residentBytes: sum('process_resident_memory_bytes '),
      cpuSeconds: sum('process_cpu_seconds_total '),
    }
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}

/** Until each of them owns its share of the slots. */
export function untilShared(dispatchers: readonly DispatcherProcess[]): Promise<true> {
  return until('the slots are shared', shareMs, async () => {
    const figures = await Promise.all(dispatchers.map((dispatcher) => dispatcher.figures()))
    return figures.every(({ slots }) => slots === slotCount / dispatchers.length)
  })
}
