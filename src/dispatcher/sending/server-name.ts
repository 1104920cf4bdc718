import type { buildConnector } from 'undici'

/**
 * The same connector with the trailing dot removed from the server name: TLS uses names without one (RFC 6066,
 * section 3), although the URL and the Host header may have it.
 */
export function withServerName(options: buildConnector.Options): buildConnector.Options {
  // undici names a server only if the request has a Host header of its own.
  const servername = options.servername ?? options.hostname
  return servername.endsWith('.') ? { ...options, servername: servername.slice(0, -1) } : options
}
