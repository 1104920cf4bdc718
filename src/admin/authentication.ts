import { createHash, timingSafeEqual } from 'node:crypto'
import type { RequestHandler, Response } from 'express'
import type { AdminToken } from '../config.ts'
import { Problem } from './problems.ts'
import type { SignInLimit } from './sign-in-limit.ts'

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Finds the name of a token, `null` when it is not known. */
export type OperatorFor = (token: string) => string | null

/** Every token is compared, by digests of one length, so the time it takes tells nothing. */
export function operatorsOf(tokens: readonly AdminToken[]): OperatorFor {
  const known = tokens.map(({ name, token }) => ({ name, digest: digest(token) }))
  return (token) => {
    const given = digest(token)
    let operator: string | null = null
    for (const one of known) {
      if (timingSafeEqual(one.digest, given)) operator ??= one.name
    }
    return operator
  }
}

/** Lets requests with a right token through (RFC 6750, the header alone) and notes whose it is. */
export function bearerAuthentication(signIns: SignInLimit): RequestHandler {
  return async (request, response, next) => {
    const given = /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '')?.[1]
    if (given === undefined) throw refusal('no bearer token was sent', '')
    const operator = await signIns.operatorFor(given, request)
    if (operator === null) throw refusal('the bearer token is not one of ADMIN_TOKEN', ', error="invalid_token"')
    response.locals['operator'] = operator
    next()
  }
}

function refusal(detail: string, parameters: string): Problem {
  return new Problem(401, detail, [], { 'WWW-Authenticate': `Bearer realm="callbox"${parameters}` })
}

/** The name of the token that a request came with. */
export const operatorOf = (response: Response): string => String(response.locals['operator'])
