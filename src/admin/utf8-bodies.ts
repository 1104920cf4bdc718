import { MIMEType } from 'node:util'
import type { RequestHandler } from 'express'
import { Problem } from './problems.ts'

const maxEcho = 60

/**
 * Lets bodies through that are in UTF-8, under any name of it (WHATWG Encoding, "Names and labels"): express's parsers
 * refuse `utf8`, and would decode UTF-16.
 *
 * @throws {Problem} 415
 */
export const utf8BodiesOnly: RequestHandler = (request, _response, next) => {
  const charset = charsetOf(request.headers['content-type'])
  if (charset !== null) {
    const isSent = request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length']) > 0
    if (isSent && !isUtf8(charset)) {
      throw new Problem(415, `charset: got ${JSON.stringify(charset.slice(0, maxEcho))}; expected utf-8`)
    }
    request.headers['content-type'] = new MIMEType(request.headers['content-type'] ?? '').essence
  }
  next()
}

/** `null`: none is given, or the header cannot be read, which the parsers judge. */
function charsetOf(contentType: string | undefined): string | null {
  try {
    return new MIMEType(contentType ?? '').params.get('charset')
  } catch {
    return null
  }
}

function isUtf8(label: string): boolean {
  try {
    return new TextDecoder(label).encoding === 'utf-8'
  } catch {
    return false
  }
}
