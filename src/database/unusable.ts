import { ConfigError } from '../config.ts'
import { isDatabaseAway } from './away.ts'
import { codeOf, NoConnection, sessionFaults } from './errors.ts'

export type DatabaseVariable = 'DATABASE_URL' | 'DATABASE_DIRECT_URL'

/** Why the database cannot be used, for the operator. */
interface Trouble {
  /** A clause without names or addresses, fit for `/readyz`. */
  what: string
  todo: string
  /** Waiting does not help: a role exits at start. */
  needsOperator: boolean
}

const trouble = (what: string, todo: string): Trouble => ({ what, todo, needsOperator: false })
const mistake = (what: string, todo: string): Trouble => ({ what, todo, needsOperator: true })

const noAnswer = 'the database does not answer'
const refuses = 'the database refuses it'

/** By SQLSTATE (PostgreSQL's documentation, appendix A) of an attempt to connect. */
const connectTroubles: Record<string, Trouble> = {
  '28P01': mistake('the database refuses the user or the password', 'correct the user and the password in the URL'),
  '28000': mistake(
    'the database refuses the user, or connections from this address or without TLS',
    'let pg_hba.conf and the role permit it, or ask for TLS with ?sslmode=verify-full',
  ),
  '3D000': mistake('the database named in the URL does not exist', 'create it, or correct the name in the URL'),
  '42501': mistake('the user lacks the privilege to connect', 'grant connect on database … to the user of the URL'),
  '53300': trouble(
    'the server has no free connection slot',
    'raise max_connections or the limit of the role or database, or put PgBouncer in between',
  ),
  '55000': trouble('the database accepts no connections', 'alter database … with allow_connections true'),
  '57P03': trouble('the server is starting, stopping or recovering', 'wait for it; its log shows the progress'),
  '57P01': trouble('the server is stopping', 'start it again'),
  '57P05': trouble('the server closed an idle session', 'wait'),
  '42704': mistake('the server does not know a parameter of the URL', 'remove it from the URL'),
}

const wrongCertificate = mistake(
  'the certificate of the database is not trusted',
  'name the CA with ?sslrootcert=/path/ca.pem or NODE_EXTRA_CA_CERTS, or accept any with ?sslmode=no-verify',
)
const wrongFile = mistake(
  'a certificate or key file of the URL cannot be used',
  'correct sslrootcert, sslcert or sslkey in the URL',
)

/** By Node's code of a network or TLS error, or by ours. */
const otherTroubles: Record<string, Trouble> = {
  ECONNREFUSED: trouble(noAnswer, 'start it, or correct host and port in the URL'),
  ECONNRESET: trouble(noAnswer, 'the connection was cut: look at the server, and at any proxy in between'),
  ENOTFOUND: trouble('the host name of the database is unknown', 'correct the host in the URL, or the DNS'),
  EAI_AGAIN: trouble('the DNS does not answer for the host of the database', 'look at the DNS of this machine'),
  EHOSTUNREACH: trouble(noAnswer, 'there is no route to its host: look at network and firewall'),
  ENETUNREACH: trouble(noAnswer, 'there is no route to its host: look at network and firewall'),
  ETIMEDOUT: trouble(noAnswer, 'look at network and firewall, or correct host and port in the URL'),
  EACCES: mistake('the socket of the database may not be opened', 'give this user access to the socket directory'),
  ENOENT: trouble('the socket or a file named in the URL does not exist', 'start the server, or correct the path'),
  CERT_HAS_EXPIRED: mistake('the certificate of the database has expired', 'renew it'),
  CERT_NOT_YET_VALID: mistake('the certificate of the database is not valid yet', 'look at both clocks'),
  ERR_TLS_CERT_ALTNAME_INVALID: mistake(
    'the certificate of the database is for another host name',
    'use a host name of the certificate in the URL, or accept any with ?sslmode=no-verify',
  ),
  SELF_SIGNED_CERT_IN_CHAIN: wrongCertificate,
  DEPTH_ZERO_SELF_SIGNED_CERT: wrongCertificate,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: wrongCertificate,
  UNABLE_TO_GET_ISSUER_CERT: wrongCertificate,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: wrongCertificate,
  CERT_SIGNATURE_FAILURE: wrongCertificate,
  CERT_UNTRUSTED: wrongCertificate,
  CERT_REVOKED: mistake('the certificate of the database was revoked', 'renew it'),
  [sessionFaults.silent]: trouble(noAnswer, 'look at the server and the network in between'),
  [sessionFaults.poolFull]: trouble('all connections of this process are in use', 'look for slow statements'),
  [sessionFaults.standby]: trouble(
    'the server is a standby and takes no writes',
    'wait for a failover to end, or use one address that follows the primary',
  ),
  [sessionFaults.readOnly]: trouble(
    'the database is read-only',
    'set default_transaction_read_only to off for the server, the database or the role',
  ),
  [sessionFaults.encoding]: mistake(
    'the encoding of the database is not UTF8',
    "create one with: create database … encoding 'UTF8' template template0",
  ),
}

/** `pg`'s messages without a code; they are always in English. */
const spoken: [RegExp, Trouble][] = [
  [
    /does not support SSL|error establishing an SSL/,
    mistake(
      'the server does not offer TLS, and the URL asks for it',
      'turn ssl on at the server, or use ?sslmode=disable',
    ),
  ],
  [/client password must be/, mistake('the server asks for a password', 'put the password into the URL')],
  [
    /^SASL|SCRAM/,
    mistake('the server and this program have no authentication method in common', 'look at pg_hba.conf'),
  ],
  [/^Connection terminated due to connection timeout|^timeout expired/, otherTroubles['ETIMEDOUT'] as Trouble],
  [/^Connection terminated/, otherTroubles['ECONNRESET'] as Trouble],
]

/** The fault of a failed connection; `null`: unknown. */
function connectTrouble({ code, message }: NoConnection): Trouble | null {
  const known = connectTroubles[code] ?? otherTroubles[code]
  if (known) return known
  if (/^28/.test(code)) return connectTroubles['28000'] ?? null
  if (/^53/.test(code)) return trouble('the server lacks memory, disk or connection slots', 'its log says which')
  if (/^ERR_(OSSL|SSL|TLS)/.test(code)) return /PEM|KEY|ASN1/i.test(code) ? wrongFile : wrongTls
  return spoken.find(([words]) => words.test(message))?.[1] ?? null
}

const wrongTls = mistake(
  'TLS with the database failed',
  'let server and client share a TLS version, or look at the proxy',
)

/** SQLSTATE of a statement, where a privilege is missing. */
const noPrivilege = '42501'

function troubleOf(error: unknown): Trouble | null {
  if (error instanceof NoConnection) return connectTrouble(error)
  const code = codeOf(error)
  if (code === noPrivilege) {
    return trouble(
      'the user of the database lacks a privilege',
      'use the role that ran migrate, or grant it select, insert, update and delete on the tables of Callbox',
    )
  }
  return code in otherTroubles ? (otherTroubles[code] ?? null) : null
}

/** Whether the database refuses us for a reason that does not pass with time. */
export const needsOperator = (error: unknown): boolean =>
  error instanceof ConfigError || troubleOf(error)?.needsOperator === true

/** Why the database cannot be used at present: one line for `/readyz`, without names and addresses. */
export function describeTrouble(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  const found = troubleOf(error)
  if (found !== null) return `${found.what}; ${found.todo}`
  const code = codeOf(error)
  if (error instanceof NoConnection && isSqlState(code)) return `the database or its pooler refuses us (${code})`
  if (isDatabaseAway(error)) return code === '' ? noAnswer : `${noAnswer} (${code})`
  return code === '' ? 'the database cannot be asked; the log has the reason' : `the database reports error ${code}`
}

/** One line for the operator who set the URL of an unusable database; other errors are returned as they are. */
export function explainUnusable(error: unknown, variable: DatabaseVariable): unknown {
  const found = troubleOf(error)
  const said = messageOf(error)
  const todo = found === null ? '' : `; ${found.todo}`
  if (ourCodes.has(codeOf(error))) return new ConfigError(`${variable}: ${said}${todo}`)
  if (isSqlState(codeOf(error)) && (found !== null || error instanceof NoConnection)) {
    return new ConfigError(`${variable}: ${refuses}: ${said}${todo}`)
  }
  if (found === null && !(error instanceof NoConnection)) return error
  return new ConfigError(`${variable}: ${found?.what ?? noAnswer}: ${said}${todo}`)
}

/** SQLSTATEs of an object that is there already: a schema, relation, type or function. */
const taken = /^(42P06|42P07|42710|42723)$/

/** The same for `migrate`, whatever the server said. */
export function explainMigration(error: unknown, variable: DatabaseVariable): unknown {
  const code = codeOf(error)
  const said = messageOf(error)
  if (error instanceof NoConnection || !isSqlState(code)) return explainUnusable(error, variable)
  if (taken.test(code)) {
    return new ConfigError(
      `${variable}: ${said}, and callbox migrate did not create it; use a database or DATABASE_SCHEMA of its own`,
    )
  }
  const todo =
    code === noPrivilege
      ? 'grant create on the database, and on its schemas, to the user of the URL'
      : `correct what SQLSTATE ${code} means`
  return new ConfigError(`${variable}: the migration failed: ${said}; ${todo}, and run it again`)
}

const ourCodes: ReadonlySet<string> = new Set(Object.values(sessionFaults))
const isSqlState = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code) && !(code in otherTroubles)

/** In one line, and without the statement that knex prepends. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const said = error instanceof NoConnection ? error.message : error.message.replace(/^[\s\S]* - /, '')
  return said.replace(/; if the root CA is installed locally.*/s, '').replaceAll(/\s*\n\s*/g, ' ')
}
