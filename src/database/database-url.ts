import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

const oneAddress =
  'expected one address that follows the primary: HAProxy with on-marked-down shutdown-sessions, a virtual IP or a ' +
  'managed endpoint'

/** Parameters for several hosts that libpq supports and `pg` ignores. */
const multiHostParameters = ['target_session_attrs', 'load_balance_hosts', 'hostaddr']
const fileParameters = ['sslrootcert', 'sslcert', 'sslkey']
const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']

/**
 * Checks the URL of a database for parts that `pg` would silently ignore or fail on later.
 *
 * @returns `got <value>; expected <what>`, without user and password; `null`: nothing.
 */
export function refuseDatabaseUrl(url: string): string | null {
  const [, authority = ''] = /^[a-z]+:\/\/([^/?#]*)/i.exec(url) ?? []
  const [, query = ''] = /\?([^#]*)/.exec(url.slice(url.indexOf(authority) + authority.length)) ?? []
  const parameters = new URLSearchParams(query)
  const hosts = [
    authority.slice(authority.lastIndexOf('@') + 1),
    ...parameters.getAll('host'),
    ...parameters.getAll('port'),
  ]
  if (hosts.some((host) => host.includes(','))) return `got several hosts; ${oneAddress}`
  const ignored = multiHostParameters.find((name) => parameters.has(name))
  if (ignored !== undefined) return `got the parameter ${ignored}, which has no effect here; ${oneAddress}`
  const mode = parameters.get('sslmode')
  if (mode !== null && !sslModes.includes(mode)) return `got sslmode=${mode}; expected ${sslModes.join(', ')}`
  for (const name of fileParameters) {
    const file = parameters.get(name)
    const fault = file === null ? null : refuseFile(file)
    if (fault !== null) return `got ${name}=${file} (${fault}); expected a PEM file that this process can read`
  }
  return null
}

/** `pg` treats these modes as `verify-full`, and prints ten lines of warning. */
export const withPlainSslMode = (url: string): string =>
  url.includes('uselibpqcompat=true')
    ? url
    : url.replace(/([?&]sslmode=)(prefer|require|verify-ca)(?=&|#|$)/, '$1verify-full')

function refuseFile(file: string): string | null {
  if (file === 'system') return 'leave it out for the CAs that Node trusts'
  try {
    const text = readFileSync(file, 'utf8')
    if (!/-----BEGIN [A-Z ]+-----/.test(text)) return 'it is not PEM'
    // Node ignores a CA that it cannot parse, and then trusts no certificate.
    if (text.includes('-----BEGIN CERTIFICATE-----')) new X509Certificate(text)
    return null
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'it cannot be read'
  }
}
