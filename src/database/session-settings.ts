import { SessionFault, sessionFaults } from './errors.ts'

/** How long a transaction may be idle: its process has vanished, and its locks must not outlive it by much. */
const maxIdleInTransactionMs = 60_000

/** Startup parameters that every pooler passes on: PgBouncer tracks them (its documentation, `track_extra_parameters`). */
const trackedSettings = {
  DateStyle: 'ISO, MDY',
  TimeZone: 'UTC',
  standard_conforming_strings: 'on',
}

/**
 * What our statements, and the parsers of `pg`, rely on. Startup parameters win over `alter role` and `alter database`.
 * `client_encoding` is missing here because `pg` always sends UTF8.
 */
const sessionSettings = {
  ...trackedSettings,
  IntervalStyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  array_nulls: 'on',
  transform_null_equals: 'off',
  row_security: 'on',
  exit_on_error: 'off',
  default_transaction_isolation: 'read committed',
  default_transaction_deferrable: 'off',
  lock_timeout: '0',
  idle_session_timeout: '0',
  tcp_keepalives_idle: '10',
  tcp_keepalives_interval: '5',
  tcp_keepalives_count: '3',
}

/** Whether the server accepts all of our settings, or a pooler rejects those that it does not know. */
export type SettingsLevel = 'all' | 'tracked'

/** @param deadlineMs how long the server works on a statement; 0: as long as it takes. */
export function startupSettings(level: SettingsLevel, deadlineMs: number): Record<string, string> {
  if (level === 'tracked') return trackedSettings
  return {
    ...sessionSettings,
    statement_timeout: String(deadlineMs),
    idle_in_transaction_session_timeout: deadlineMs === 0 ? '0' : String(maxIdleInTransactionMs),
  }
}

/** The input of {@link judgeSession}. `transaction_timeout` is new in PostgreSQL 17; older servers reject it at startup. */
export const askSession = (level: SettingsLevel): string => `
  select pg_is_in_recovery() as is_standby,
         current_setting('transaction_read_only') = 'on' as is_read_only,
         current_setting('server_encoding') as encoding
         ${
           level === 'all'
             ? `, case when current_setting('transaction_timeout', true) is not null
                  then set_config('transaction_timeout', '0', false) end`
             : ''
         }`

export interface SessionRow {
  is_standby: boolean
  is_read_only: boolean
  encoding: string
}

/** @throws {SessionFault} for a session that cannot write, or of a database that cannot hold every text. */
export function judgeSession(row: SessionRow | undefined): void {
  if (row === undefined) return
  if (row.encoding !== 'UTF8') {
    throw new SessionFault(sessionFaults.encoding, `got a database with encoding ${row.encoding}; expected UTF8`)
  }
  if (row.is_standby) throw new SessionFault(sessionFaults.standby, 'the server is a standby and takes no writes')
  if (row.is_read_only) {
    throw new SessionFault(sessionFaults.readOnly, 'the database is read-only (default_transaction_read_only is on)')
  }
}
