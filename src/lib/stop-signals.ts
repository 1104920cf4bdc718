/** A second signal within this time is the same request: npm passes on a Ctrl-C that the terminal has also sent to us. */
const repeatMs = 2_000

/**
 * Calls `onStop` for the first SIGTERM or SIGINT. A later signal, after 2 s or more, ends the process with exit code 1.
 */
export function onStopSignal(onStop: (signal: NodeJS.Signals) => void): void {
  let firstMs: number | null = null
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      const nowMs = performance.now()
      if (firstMs === null) {
        firstMs = nowMs
        onStop(signal)
      } else if (nowMs - firstMs >= repeatMs) {
        process.exit(1)
      }
    })
  }
}
