/** An operation exceeded its deadline. */
export class NotInTime extends Error {
  override name = 'NotInTime'
}

/**
 * Resolves with the result of `work` if it arrives within `ms` milliseconds. Late work is not stopped; its result is
 * ignored.
 *
 * @param who named in the message, such as `the database`.
 * @throws {NotInTime}
 */
export async function within<T>(ms: number, who: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new NotInTime(`${who} does not answer within ${ms} ms`)), ms)
  work.catch(() => undefined)
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
