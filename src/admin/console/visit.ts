import type { Response } from 'express'
import { Problem } from '../problems.ts'
import type { Flash, Session } from './session.ts'

/** Who sees the page that is being made. */
export interface Visit {
  session: Session
  /** What the order before this page has to say. */
  flash: Flash | null
  /** Says `flash` on the next page. */
  tell(flash: Flash): Promise<void>
}

export function setVisit(response: Response, visit: Visit): void {
  response.locals['visit'] = visit
}

/** `null`: nobody is signed in. */
export const visitOrNull = (response: Response): Visit | null => (response.locals['visit'] as Visit | undefined) ?? null

/** @throws {Problem} 401 */
export function visitOf(response: Response): Visit {
  const visit = visitOrNull(response)
  if (visit === null) throw new Problem(401, 'nobody is signed in')
  return visit
}

/** The name of the token that is signed in, for the operations. */
export const operatorOf = (response: Response): string => visitOf(response).session.operator
