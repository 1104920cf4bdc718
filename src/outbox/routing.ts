export type Direction = 'inbound' | 'outbound'

export interface WebhookUrls {
  inbound: string | null
  outbound: string | null
  generic: string | null
}

export type Routing = { url: string } | { skipped: string }

/**
 * Where a delivery goes: inbound to its own URL, else to the generic one; outbound to its own URL alone, **never** to
 * the generic or the inbound one.
 *
 * @param urls `null`: no such business.
 */
export function routeFor(direction: Direction, urls: WebhookUrls | null): Routing {
  if (urls === null) return { skipped: 'the business is not known' }
  if (direction === 'outbound') {
    return urls.outbound === null ? { skipped: 'no outbound_webhook_url is set' } : { url: urls.outbound }
  }
  const url = urls.inbound ?? urls.generic
  return url === null ? { skipped: 'neither inbound_webhook_url nor generic_webhook_url is set' } : { url }
}
