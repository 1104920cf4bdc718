import type { buildConnector } from 'undici'

/**
 * The same, with a server name that has no trailing dot: TLS sends and checks it without one (RFC 6066, section 3), though
 * the URL, and so the Host header, may have it.
 */
export function withServerName(options: buildConnector.Options): buildConnector.Options {
  // undici names a server only if the request has a Host header of its own.
  const servername = options.servername ?? options.hostname
  return servername.endsWith('.') ? { ...options, servername: servername.slice(0, -1) } : options
}
