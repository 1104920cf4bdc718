import { codeOf, NoConnection, readOnlyTransaction, sessionFaults } from './errors.ts'

/** The classes of SQLSTATE (PostgreSQL's documentation, appendix A) that say "not now" and nothing about the request. */
const awayClasses = new Set(['08', '40', '53', '57', '58'])
const awayCodes: ReadonlySet<string> = new Set([
  readOnlyTransaction,
  sessionFaults.silent,
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
])
/** pg's messages without a code, on connections that are not ours. */
const spokenOf = /^(Connection terminated|Query read timeout|Client (has encountered a connection error|was closed))/

/**
 * Whether the error means that the database is unavailable at present, so that the same request may work later. It
 * looks only at codes: PostgreSQL's texts, the severity included, are in the language of `lc_messages`.
 */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof NoConnection || error.name === 'KnexTimeoutError' || spokenOf.test(error.message)) return true
  const code = codeOf(error)
  return awayCodes.has(code) || (code.length === 5 && awayClasses.has(code.slice(0, 2)))
}
