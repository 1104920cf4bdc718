/**
 * No connection is available, or its session is unusable. The message is that of the cause: `pg`, the network or the
 * server.
 */
export class NoConnection extends Error {
  override name = 'NoConnection'
  /** SQLSTATE, Node's code of a network or TLS error, or one of {@link sessionFaults}; `''`: none. */
  readonly code: string

  constructor(cause: unknown) {
    // A name with several addresses: each of them failed, and Node's own message is empty.
    const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
    super(first instanceof Error ? first.message : String(first), { cause })
    this.code = codeOf(cause) || codeOf(first)
  }
}

/** Our own codes for faults to which neither the server nor `pg` assigns one. */
export const sessionFaults = {
  standby: 'CALLBOX_STANDBY',
  readOnly: 'CALLBOX_READ_ONLY',
  encoding: 'CALLBOX_ENCODING',
  poolFull: 'CALLBOX_POOL_FULL',
  silent: 'CALLBOX_SILENT',
} as const

/** A session that is connected but unusable. */
export class SessionFault extends Error {
  override name = 'SessionFault'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The error's `code`, or `''`. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** `read_only_sql_transaction`: a standby, during a failover, or a database that was set read-only. */
export const readOnlyTransaction = '25006'

/**
 * SQLSTATE class 22 (data exception): a value that PostgreSQL cannot hold, such as U+0000 in a text. The same value is
 * refused every time.
 */
export const isDataException = (error: unknown): boolean => /^22[0-9A-Z]{3}$/.test(codeOf(error))
