const pollMs = 10

/**
 * Asks every 10 ms until `ask` answers something other than `false`.
 *
 * @throws Error that says what did not come to pass within `longestMs`.
 */
export async function until<T>(what: string, longestMs: number, ask: () => Promise<T | false>): Promise<T> {
  const deadline = performance.now() + longestMs
  for (;;) {
    const answer = await ask()
    if (answer !== false) return answer
    if (performance.now() > deadline) throw new Error(`${what}: not within ${longestMs / 1000} s`)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}
