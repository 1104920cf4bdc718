import { z } from 'zod'

const most = 32
const longestValue = 4_096
const longestAll = 8_192

/** Names that a POST needs for itself: framing, routing and what the receiver verifies. Names are in lower case. */
const ownNames = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'date',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])
const ownPrefixes = ['webhook-', 'proxy-', 'x-forwarded-']

const isOurs = (name: string): boolean => ownNames.has(name) || ownPrefixes.some((prefix) => name.startsWith(prefix))

/** A token of RFC 9110, 5.6.2. */
const headerName = z
  .string()
  .max(100)
  .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/)
  .refine((name) => !isOurs(name.toLowerCase()))

/** A field value of RFC 9110, 5.5, without its obsolete bytes above ASCII: nothing in it can end a line. */
const headerValue = z
  .string()
  .max(longestValue)
  .regex(/^$|^[\x21-\x7e]([\t\x20-\x7e]*[\x21-\x7e])?$/)

/** Headers that go with every POST to a business, by name. */
export const customHeaders = z
  .record(headerName, headerValue)
  .refine((headers) => {
    const names = Object.keys(headers)
    const size = Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
    const distinct = new Set(names.map((name) => name.toLowerCase())).size
    return names.length <= most && distinct === names.length && size <= longestAll
  })
  .meta({ maxProperties: most, writeOnly: true, examples: [{ 'x-api-key': 'a value that the receiver knows' }] })

export const customHeadersTakes =
  'an object of header names and their values in visible ASCII, at most 32 and 8192 characters in all, no name twice, ' +
  'none that Callbox sets itself (webhook-…, proxy-…, x-forwarded-…, content-type, host and the like), or null for none'
