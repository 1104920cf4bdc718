import { ConfigError } from '../config.ts'

const unreachable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
])

/** SQLSTATE class 28 (invalid authorization) and 3D000 (no such database): waiting does not help. */
export const isRefusal = (error: unknown): error is Error => /^(28...|3D000)$/.test(codeOf(error))

/** One line for the person who gave the address of a database that refuses us or is not there; else the error itself. */
export function explainUnusable(error: unknown, variable: 'DATABASE_URL' | 'DATABASE_DIRECT_URL'): unknown {
  if (isRefusal(error)) return new ConfigError(`${variable}: the database refuses it: ${error.message}`)
  if (!unreachable.has(codeOf(error))) return error
  // A name with several addresses: each of them failed.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error
  return new ConfigError(`${variable}: the database does not answer: ${first instanceof Error ? first.message : first}`)
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '')
