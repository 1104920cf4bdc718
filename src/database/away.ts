/** The classes of SQLSTATE (PostgreSQL's documentation, appendix A) that say "not now" and nothing about the request. */
const awayClasses = new Set(['08', '40', '53', '57', '58'])
/** `read_only_sql_transaction`: a standby, during a failover. */
const readOnly = '25006'
const networkCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
])
/** What pg and its pool say without a code: a lost connection, none to be had in time, a statement past its deadline. */
const spokenOf =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error)/

/** Whether the error means that the database cannot be had at present, so that the same request may work later. */
export function isDatabaseAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.name === 'KnexTimeoutError' || spokenOf.test(error.message)) return true
  // What is fatal ends the session, or has not let one begin.
  if ('severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC')) return true
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return networkCodes.has(code) || code === readOnly || (code.length === 5 && awayClasses.has(code.slice(0, 2)))
}
