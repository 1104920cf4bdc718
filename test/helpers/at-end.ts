import { afterAll } from 'vitest'

const cleanups: (() => unknown)[] = []

afterAll(async () => {
  const errors: unknown[] = []
  for (const cleanup of cleanups.splice(0).reverse()) {
    try {
      await cleanup()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, 'what the test file started did not end well')
})

/**
 * Cleans up when the test file is done, the last thing first; one that fails does not keep the others from theirs. Vitest
 * never calls an `afterAll` that is registered within `beforeAll`; this one is registered when the file is loaded.
 */
export function atEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}
