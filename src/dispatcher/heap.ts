import { setFlagsFromString } from 'node:v8'

/**
 * Lets V8 collect sooner than it likes to. A dispatcher makes much short-lived garbage and keeps little, and V8 answers
 * that with a heap that grows to hundreds of megabytes. Both flags are read while the process runs. Measured while a
 * backlog of 1.7 KB deliveries was drained, CPU a delivery and memory resident: 67 µs and 214 MB with a percentage of 50,
 * 62 µs and 205 MB with 100, 60 µs and 220 MB with 150; on a slower machine 82 µs and 373 MB without either flag, 92 µs and
 * 239 MB with 50. A collection holds up all else on two busy cores: with 5,900 events/s the 99th percentile from commit
 * to first byte was 97 ms with 50, 44 ms with 100.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--heap-growing-percent=100')
  setFlagsFromString('--semi-space-growth-factor=1')
}
