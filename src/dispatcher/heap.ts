import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 collect sooner than it likes to. A dispatcher makes much short-lived garbage and keeps little, and V8 answers
 * that with a heap that grows to hundreds of megabytes. Both flags are read while the process runs. Measured while a
 * backlog of 1.7 KB deliveries was drained: 430 to 550 MB resident without them, 182 MB with, at about the same rate.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=20')
  setFlagsFromString('--semi-space-growth-factor=1')
}
