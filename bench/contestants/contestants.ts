import type { Bench } from '../harness/bench.ts'
import { callboxRun } from './callbox.ts'
import { graphileRun } from './graphile-worker.ts'
import { bossRun } from './pg-boss.ts'
import { undiciRun } from './undici.ts'

/** @returns deliveries per second, for a backlog of `rowsEach` for each of the 100 businesses. */
export type Run = (bench: Bench, rowsEach: number) => Promise<number>

export interface Contestant {
  /** So that each contestant is busy for about as long. */
  rowsEach: number
  run: Run
}

export const contestants = {
  'undici alone': { rowsEach: 2_000, run: undiciRun },
  Callbox: { rowsEach: 1_000, run: callboxRun },
  'graphile-worker tuned': { rowsEach: 300, run: graphileRun({ tuned: true }) },
  'graphile-worker default': { rowsEach: 150, run: graphileRun({ tuned: false }) },
  'pg-boss tuned': { rowsEach: 400, run: bossRun({ burst: true }) },
  'pg-boss polling': { rowsEach: 80, run: bossRun({ burst: false }) },
} satisfies Record<string, Contestant>
