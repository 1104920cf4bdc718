import type { Progress } from './progress.ts'
import type { Receiver } from './receiver.ts'
import type { BenchServer } from './server.ts'

/** What every figure is measured with. */
export interface Bench {
  server: BenchServer
  receiver: Receiver
  progress: Progress
  /** How often each side of a pair is measured. */
  rounds: number
  /** Smaller backlogs and shorter runs: a look, not a proof. */
  quick: boolean
  /** Deliveries per second of every full-speed run of Callbox so far: what "half of the maximum" is taken of. */
  maxima: number[]
  /** Where dispatchers leave their CPU profiles; `null`: nowhere. */
  profileInto: string | null
}

export interface Goal {
  is: 'at least' | 'at most'
  value: number
}

/** One line of the table. */
export interface Figure {
  title: string
  /** What stands after a number: `/s`, `×`, `ms`, `MB`. */
  unit: string
  goal: Goal | null
  /** One for each round, in their order; the table shows their median and spread. */
  values: number[]
}
