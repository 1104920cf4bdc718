import { afterAll } from 'vitest'

const cleanups: (() => unknown)[] = []

afterAll(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/**
 * Cleans up when the test file is done, the last thing first. Vitest never calls an `afterAll` that is registered within
 * `beforeAll`; this one is registered when the file is loaded.
 */
export function atEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}
