import { done, type Outcome, setBack } from '../outcome.ts'
import { UnusableAnswer } from './unusable-answer.ts'

/**
 * The result of `read` for an answer, or the setback `unusable` with the reason that it throws.
 *
 * @param service the subject of the sentence that states the reason.
 */
export function usable<T>(service: string, read: () => T): Outcome<T> {
  try {
    return done(read())
  } catch (error) {
    if (!(error instanceof UnusableAnswer)) throw error
    return setBack({ kind: 'unusable', error: `${service} ${error.message}` })
  }
}
