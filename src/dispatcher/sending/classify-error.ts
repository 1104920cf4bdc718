import { isIPv6 } from 'node:net'
import { errors } from 'undici'
import { BlockedAddressError } from './address-guard.ts'

/** How an attempt ended that brought no answer, or only part of one. */
export type TransportFailure = 'timeout' | 'dns' | 'connect' | 'tls' | 'reset' | 'blocked'

/** Node passes on getaddrinfo's codes, and merges two of them into one. */
const dnsCode = /^(ENOTFOUND$|EAI_)/
const connectCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EMFILE',
])
/** The request itself cannot be made: nothing was sent. */
const unsendableCodes = new Set([
  'ERR_INVALID_URL',
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
])
/** undici tells it by its words alone. */
const proxyRefusal = /^Proxy response \((\d+)\) !== 200/
const tlsCode = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO$)/

/** Puts what Node and undici report into the words of the contract; what is unknown broke the exchange: `reset`. */
export function classifyError(error: unknown): TransportFailure {
  if (error instanceof BlockedAddressError) return 'blocked'
  if (error instanceof errors.ConnectTimeoutError) return 'timeout'
  if (error instanceof AggregateError) return classifyError(error.errors[0])
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (unsendableCodes.has(code)) return 'blocked'
  if (code === 'ETIMEDOUT') return 'timeout'
  if (dnsCode.test(code)) return 'dns'
  if (connectCodes.has(code)) return 'connect'
  if (tlsCode.test(code)) return 'tls'
  if (error instanceof Error && proxyRefusal.test(error.message)) return 'connect'
  return 'reset'
}

const maxMessageLength = 300

/**
 * The error's words as they are stored: bounded, and without what PostgreSQL's text cannot hold.
 *
 * @param proxied a proxy is between: only to it is connected, and only its name is looked up.
 */
export function errorText(error: unknown, proxied: boolean): string {
  const words = wordsOf(error)
  const isOfProxy = proxied && ['connect', 'dns'].includes(classifyError(error))
  return (isOfProxy ? `the proxy: ${words}` : words).replaceAll('\0', '').toWellFormed().slice(0, maxMessageLength)
}

const reasonsIn = (cause: unknown): string => (cause instanceof Error ? `: ${wordsOf(cause)}` : '')

const hostAndPort = (address: string, port: number | undefined): string =>
  `${isIPv6(address) ? `[${address}]` : address}:${port}`

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  // undici's message names the limit of the whole attempt, although each address has its own limit.
  if (error instanceof errors.ConnectTimeoutError) return `no connection${reasonsIn(error.cause)}`
  if (error instanceof AggregateError) return error.errors.map(wordsOf).join('; ')
  const { code, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number }
  if (code === 'ETIMEDOUT' && address !== undefined) return `no answer from ${hostAndPort(address, port)}`
  // OpenSSL's own sentence is among its numbers, routines and source files.
  if ('reason' in error && 'library' in error && typeof error.reason === 'string') return error.reason
  const [, status] = proxyRefusal.exec(error.message) ?? []
  if (status !== undefined) return `it answered ${status} to CONNECT`
  // Advice for whoever started this process, and the record is read by others.
  return error.message.replace(/; if the root CA is installed locally.*/s, '') || error.name
}
