import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 collect sooner than it likes to. A dispatcher makes much short-lived garbage and keeps little, and V8 answers
 * that with a heap that grows to hundreds of megabytes. Both flags are read while the process runs. Measured while a
 * backlog of 1.7 KB deliveries was drained: 82 µs of CPU a delivery and 373 MB resident without them, 92 µs and 239 MB with;
 * 104 µs and 235 MB with a percentage of 20.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=50')
  setFlagsFromString('--semi-space-growth-factor=1')
}
