import type { Delivery } from '../delivery.ts'
import type { Endpoint } from './endpoints.ts'
import type { PostRequest } from './post.ts'
import { sign } from './signature.ts'

const ourUserAgent = ['user-agent', 'Callbox']

/**
 * The POST of an attempt: the stored bytes, the business's own headers, and those of Standard Webhooks.
 *
 * @param startedMs of this attempt, by the database's clock; `webhook-timestamp` is its whole seconds.
 */
export function requestFor(
  delivery: Delivery,
  body: Buffer,
  endpoint: Endpoint,
  url: string,
  startedMs: number,
): PostRequest {
  const timestamp = Math.floor(startedMs / 1000)
  const headers = [
    'content-type',
    'application/json',
    ...(endpoint.hasUserAgent ? [] : ourUserAgent),
    'webhook-id',
    delivery.id,
    'webhook-timestamp',
    String(timestamp),
    'webhook-signature',
    sign(endpoint.signingKeys, delivery.id, timestamp, body),
    ...endpoint.headers,
  ]
  return { url, headers, body }
}
