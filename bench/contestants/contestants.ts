import type { Bench } from '../harness/bench.ts'
import { callboxRun } from './callbox.ts'
import { graphileRun } from './graphile-worker.ts'
import { bossRun } from './pg-boss.ts'
import { undiciRun } from './undici.ts'

export interface Raced {
  deliveriesPerSecond: number
  /** CPU time for each delivery in microseconds, of its processes and its PostgreSQL; `null`: the system does not report it. */
  cpuUs: number | null
}

/** Delivers a backlog of `rowsEach` for each of the 100 businesses. */
export type Run = (bench: Bench, rowsEach: number) => Promise<Raced>

export interface Contestant {
  /** So that each contestant is busy for about as long. */
  rowsEach: number
  run: Run
}

export const contestants = {
  'undici alone': { rowsEach: 2_000, run: undiciRun({ processes: 1 }) },
  'undici alone, 2 processes': { rowsEach: 2_000, run: undiciRun({ processes: 2 }) },
  Callbox: { rowsEach: 1_000, run: callboxRun({ dispatchers: 1 }) },
  'Callbox, 2 dispatchers': { rowsEach: 1_000, run: callboxRun({ dispatchers: 2 }) },
  'graphile-worker tuned': { rowsEach: 300, run: graphileRun({ tuned: true }) },
  'graphile-worker default': { rowsEach: 150, run: graphileRun({ tuned: false }) },
  'pg-boss burst': { rowsEach: 400, run: bossRun({ burst: true }) },
  'pg-boss polling': { rowsEach: 80, run: bossRun({ burst: false }) },
} satisfies Record<string, Contestant>

export type ContestantName = keyof typeof contestants
