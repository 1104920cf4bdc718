import type { buildConnector } from 'undici'

/**
 * The same, with a server name that has no trailing dot: TLS sends and checks it without one (RFC 6066, section 3), though
 * the URL, and so the Host header, may have it.
 */
export function withServerName(options: buildConnector.Options): buildConnector.Options {
  const { servername } = options
  return servername?.endsWith('.') ? { ...options, servername: servername.slice(0, -1) } : options
}
