import { z } from 'zod'
import { exampleOf } from './examples.ts'

const longest = 2_048

/**
 * The URL of a tenant's endpoint, as the WHATWG parser writes it; that text is what is stored and sent to. Where it
 * leads is the dispatcher's matter, at connect time: names and what they resolve to change.
 */
export const endpointUrl = z
  .string()
  .max(longest)
  .refine((text) => URL.canParse(text) && isEndpoint(new URL(text)))
  .meta({ format: 'uri', examples: [exampleOf.url] })
  .transform((text) => new URL(text).href)
  .pipe(z.string().max(longest))

function isEndpoint(url: URL): boolean {
  const isHttp = url.protocol === 'https:' || url.protocol === 'http:'
  return isHttp && url.username === '' && url.password === '' && url.port !== '0'
}

export const endpointUrlTakes =
  'an http or https URL of at most 2048 characters, with a port from 1 to 65535 if any, without user name and password, or null for none'
