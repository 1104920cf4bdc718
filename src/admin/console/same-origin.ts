import type { Request, RequestHandler } from 'express'
import { Problem } from '../problems.ts'

/**
 * Lets a request that changes something through only from a page of our own. Browsers say where it comes from in
 * `Sec-Fetch-Site`; over plain http to another machine, and when they are old, in `Origin` alone.
 *
 * @param publicUrl our address as a proxy in front of us knows it.
 * @throws {Problem} 403
 */
export function sameOriginOnly(publicUrl: string): RequestHandler {
  const publicHost = new URL(publicUrl).host
  return (request, _response, next) => {
    if (!['GET', 'HEAD'].includes(request.method) && !isOwn(request, publicHost)) {
      throw new Problem(403, 'this order did not come from a page of this console; open the console and try again')
    }
    next()
  }
}

function isOwn(request: Request, publicHost: string): boolean {
  const site = request.get('sec-fetch-site')
  if (site !== undefined) return site === 'same-origin'
  const origin = request.get('origin')
  if (origin === undefined || !URL.canParse(origin)) return false
  const { host } = new URL(origin)
  return host === request.get('host') || host === publicHost
}
