import { TLSSocket } from 'node:tls'
import { type Agent, type buildConnector, Pool, ProxyAgent } from 'undici'
import { watchConnection } from './kept-connections.ts'
import { withServerName } from './server-name.ts'

/**
 * An agent that tunnels to every origin through the proxy at `proxyUrl`, and verifies the certificates of both.
 *
 * @param connectTimeoutMs for the connection to the proxy, and again for TLS with the origin.
 */
export function createProxyAgent(proxyUrl: string, options: Agent.Options, connectTimeoutMs: number): ProxyAgent {
  return new ProxyAgent({
    ...options,
    uri: proxyUrl,
    proxyTunnel: true,
    connectTimeout: connectTimeoutMs,
    proxyTls: { rejectUnauthorized: true },
    // With `requestTls`, undici ignores the server name that a connector is given.
    factory: (origin, given: Pool.Options) => {
      if (typeof given.connect !== 'function') throw new TypeError('the agent has no connector of its own')
      return new Pool(origin, { ...given, connect: verified(given.connect) })
    },
  })
}

/** Missing from undici's type, although its agent reads it. */
const onlyHttp1 = { allowH2: false }

/** Refuses a certificate that is not trusted even if `NODE_TLS_REJECT_UNAUTHORIZED` accepts it. */
function verified(connect: buildConnector.connector): buildConnector.connector {
  return (options, callback) =>
    connect({ ...withServerName(options), ...onlyHttp1 }, (...[error, socket]) => {
      if (error) return callback(error, null)
      if (!(socket instanceof TLSSocket) || socket.authorized) {
        watchConnection(socket)
        return callback(null, socket)
      }
      const { authorizationError } = socket
      socket.on('error', () => undefined).destroy()
      const code = String(authorizationError)
      callback(Object.assign(new Error(`the certificate is not trusted: ${code}`), { code }), null)
    })
}
