import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { refuseDatabaseUrl, withPlainSslMode } from './database/database-url.ts'
import { defaultSchema } from './database/schema.ts'
import { nat64PrefixBits, parseNat64Prefix } from './lib/embedded-ipv4.ts'

export const roles = ['api', 'worker', 'dispatcher'] as const
export type Role = (typeof roles)[number]

/** OpenAI's values of `reasoning_effort`, lowest first; few models support all of them. */
export const reasoningEfforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const
export type ReasoningEffort = (typeof reasoningEfforts)[number]

export interface AdminToken {
  name: string
  token: string
}

export interface Config {
  /** `null`: the embedded PostgreSQL. */
  databaseUrl: string | null
  /** A session-level connection for `LISTEN`; `null`: none, so polling alone. */
  databaseDirectUrl: string | null
  /** The schema of the tables; pg-boss's is the same with `_jobs`. */
  databaseSchema: string
  /** Absolute path of the directory of embedded data, generated secrets and audio. */
  home: string
  port: number
  /** Of the admin API, console, metrics and OpenAPI; `null`: `port` serves them too. */
  adminPort: number | null
  metricsPort: number
  /** Without a trailing slash; what Twilio signs starts with it. */
  publicUrl: string
  /** Without a trailing slash; where operators open the console and the admin API. */
  adminUrl: string
  /** Addresses and CIDRs whose `X-Forwarded-For` is believed. */
  trustedProxies: string[]
  /** Empty: not given. */
  adminTokens: AdminToken[]
  /** 32 bytes; `null`: not given. */
  secretsKey: Buffer | null
  /** The key before it, while `callbox reseal` has not ended; `null`: not given. */
  secretsKeyPrevious: Buffer | null
  twilio: {
    accountSid: string | null
    authTokens: string[]
    apiUrl: string
    /** Additional hosts that recordings may be fetched from, without credentials: `name` or `name:port`. */
    recordingHosts: string[]
  }
  openai: {
    apiKey: string | null
    baseUrl: string | null
    transcribeModel: string
    summaryModel: string
    /** `null`: not given. */
    reasoningEffort: ReasoningEffort | null
  }
  webhook: {
    /** Waits between attempts, in milliseconds; one attempt more than there are waits. */
    retryScheduleMs: number[]
    timeoutMs: number
    allowedNetworks: string[]
    /** CIDRs in which the operator's NAT64 translator embeds IPv4 addresses. */
    nat64Prefixes: string[]
    proxyUrl: string | null
  }
  /** POSTs in flight, or answered and not yet recorded. */
  dispatcherConcurrency: number
  /** Payloads of those and of what waits to be sent. */
  dispatcherMemoryBytes: number
  logLevel: string
  retentionDays: number
}

/** A setting that cannot be used; its message is the one line to print. Values of secrets are left out of it. */
export class ConfigError extends Error {
  override name = 'ConfigError'
}

type Environment = Record<string, string | undefined>

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Reads `250ms`, `5s`, `30m`, `2h` or `1d` as milliseconds; anything else, or over 30 days, is an error. */
export const duration = z
  .string()
  .regex(/^\d{1,9}(ms|s|m|h|d)$/)
  .transform((text) => {
    const unit = text.replace(/\d+/, '') as keyof typeof unitMs
    return Number.parseInt(text, 10) * unitMs[unit]
  })
  .pipe(z.number().max(30 * unitMs.d))

const megabyte = 1024 * 1024

/** Reads `64MB` or `1GB`, from 16 MB to 16 GB, as bytes. */
const memory = z
  .string()
  .regex(/^\d{1,6}(MB|GB)$/)
  .transform((text) => Number.parseInt(text, 10) * (text.endsWith('GB') ? 1024 : 1) * megabyte)
  .pipe(
    z
      .number()
      .min(16 * megabyte)
      .max(16 * 1024 * megabyte),
  )

const wholeNumber = (min: number, max: number) =>
  z.string().regex(/^\d+$/).transform(Number).pipe(z.number().int().min(min).max(max))

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

const httpUrl = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ''))
/** Of a service whose credentials have settings of their own; `fetch` takes none in an address. */
const serviceUrl = httpUrl.refine((url) => {
  const { username, password } = new URL(url)
  return username === '' && password === ''
})
const serviceUrlExpected = 'an http or https address without user and password'
const postgresUrl = z.url({ protocol: /^postgres(ql)?$/ })

/** With `_jobs` behind it, it fits pg-boss's limit of 50 bytes. */
const schemaName = z
  .string()
  .regex(/^[a-z_][a-z0-9_]{0,44}$/)
  .refine((name) => !/^pg_|^information_schema$|_jobs$/.test(name))

const schemaNameExpected =
  'up to 45 lower-case letters, digits and _, not beginning with a digit or pg_, and not ending with _jobs'

const network = z.string().refine((text) => {
  const [address = '', bits = '', ...rest] = text.split('/')
  const family = isIP(address)
  return family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
})
const addressOrNetwork = z.union([z.string().refine((text) => isIP(text) !== 0 && !text.includes('%')), network])

const nat64Prefix = z.string().refine((text) => {
  if (!network.safeParse(text).success || !text.includes(':')) return false
  const { prefix, bits } = parseNat64Prefix(text)
  const bytes = prefix.toByteArray()
  return nat64PrefixBits.includes(bits) && bytes[8] === 0 && bytes.slice(bits / 8).every((byte) => byte === 0)
})

/** A host name or address, with or without a port, in the form that `URL` gives it. */
const host = z
  .string()
  .regex(/^[^\s/@?#\\:*]+(:\d{1,5})?$|^\[[\da-f:.]+\](:\d{1,5})?$/i)
  .transform((text) => `${URL.parse(`https://${text}`)?.hostname ?? ''}${text.match(/:\d+$/)?.[0] ?? ''}`)
  .refine((text) => text !== '' && !text.startsWith(':'))

/** What a header can carry: RFC 9110, 5.5, without the characters over U+007F that it calls obsolete. */
const headerText = z.string().regex(/^[\x20-\x7e]+$/)

/** Of an admin token, in characters. */
const minTokenLength = 16

const adminTokens = list.pipe(
  z
    .array(
      z
        .string()
        .transform((part) => {
          const colon = part.indexOf(':')
          return colon < 0
            ? { name: 'admin', token: part }
            : { name: part.slice(0, colon), token: part.slice(colon + 1) }
        })
        .pipe(z.object({ name: z.string().min(1), token: headerText.min(minTokenLength) })),
    )
    .min(1)
    .refine((tokens) => new Set(tokens.map(({ token }) => token)).size === tokens.length),
)

const adminTokensExpected = `a token of ${minTokenLength} characters or more (printable ASCII), or name:token,name:token, no token twice`

const base64Key = z
  .string()
  .regex(/^[A-Za-z0-9+/]{43}=?$/)
  .transform((text) => Buffer.from(text, 'base64'))

class Reader {
  readonly env: Environment
  constructor(env: Environment) {
    this.env = env
  }

  /** An empty value counts as unset: compose files and service managers pass those. */
  optional<T>(name: string, schema: z.ZodType<T>, expected: string, secret = false): T | null {
    const text = this.env[name]?.trim()
    if (text === undefined || text === '') return null
    const parsed = schema.safeParse(text)
    if (parsed.success) return parsed.data
    const got = secret ? `a value of ${text.length} characters` : JSON.stringify(text)
    throw new ConfigError(`${name}: got ${got}; expected ${expected}`)
  }

  databaseUrl(name: string): string | null {
    const fault = refuseDatabaseUrl(this.env[name]?.trim() ?? '')
    if (fault !== null) throw new ConfigError(`${name}: ${fault}`)
    const url = this.optional(name, postgresUrl, 'postgres://user:password@host:port/database', true)
    return url === null ? null : withPlainSslMode(url)
  }
}

/**
 * Turns the environment into settings.
 *
 * @throws {ConfigError} for the first value that is invalid, or that is required and missing.
 */
export function readConfig(env: Environment): Config {
  const read = new Reader(env)
  const port = read.optional('PORT', wholeNumber(0, 65_535), 'a port from 0 to 65535') ?? 8080
  const givenAdminPort = read.optional('ADMIN_PORT', wholeNumber(0, 65_535), 'a port from 0 to 65535')
  const adminPort = givenAdminPort === port && port !== 0 ? null : givenAdminPort
  const publicUrl =
    read.optional('PUBLIC_URL', httpUrl, 'an http or https address, such as https://callbox.example') ??
    `http://localhost:${port}`
  const databaseUrl = read.databaseUrl('DATABASE_URL')
  const timeout = 'one duration such as 250ms, 15s or 1m, from 10ms to 10m'
  const schedule = 'durations joined by commas, such as 5s,5m,30m,2h; at most 50, none over 30d'
  return {
    databaseUrl,
    databaseDirectUrl: read.databaseUrl('DATABASE_DIRECT_URL'),
    databaseSchema: read.optional('DATABASE_SCHEMA', schemaName, schemaNameExpected) ?? defaultSchema,
    home: resolve(read.optional('CALLBOX_HOME', z.string(), 'a directory') ?? '.callbox'),
    port,
    adminPort,
    metricsPort: read.optional('METRICS_PORT', wholeNumber(0, 65_535), 'a port from 0 to 65535') ?? 9464,
    publicUrl,
    adminUrl:
      read.optional('ADMIN_URL', httpUrl, 'an http or https address, such as https://callbox.internal') ??
      (adminPort === null ? publicUrl : `http://localhost:${adminPort}`),
    trustedProxies:
      read.optional(
        'TRUSTED_PROXIES',
        list.pipe(z.array(addressOrNetwork)),
        'addresses and networks joined by commas, such as 10.0.0.5,fd00::/8',
      ) ?? [],
    adminTokens: read.optional('ADMIN_TOKEN', adminTokens, adminTokensExpected, true) ?? [],
    secretsKey: read.optional('SECRETS_KEY', base64Key, '32 bytes in base64 (openssl rand -base64 32)', true),
    secretsKeyPrevious: read.optional('SECRETS_KEY_PREVIOUS', base64Key, 'the former SECRETS_KEY', true),
    twilio: {
      accountSid: read.optional(
        'TWILIO_ACCOUNT_SID',
        z.string().regex(/^AC[0-9a-fA-F]{32}$/),
        'an account SID: AC and 32 hex digits',
      ),
      authTokens:
        read.optional(
          'TWILIO_AUTH_TOKEN',
          list.pipe(z.array(headerText).min(1)),
          'auth tokens in printable ASCII characters',
          true,
        ) ?? [],
      apiUrl: read.optional('TWILIO_API_URL', serviceUrl, serviceUrlExpected, true) ?? 'https://api.twilio.com',
      recordingHosts:
        read.optional(
          'RECORDING_HOSTS',
          list.pipe(z.array(host)),
          'host names joined by commas, such as my-bucket.s3.amazonaws.com',
        ) ?? [],
    },
    openai: {
      apiKey: read.optional('OPENAI_API_KEY', headerText, 'a key in printable ASCII characters', true),
      baseUrl: read.optional('OPENAI_BASE_URL', serviceUrl, serviceUrlExpected, true),
      transcribeModel: read.optional('OPENAI_TRANSCRIBE_MODEL', z.string(), 'a model') ?? 'gpt-transcribe',
      summaryModel: read.optional('OPENAI_SUMMARY_MODEL', z.string(), 'a model') ?? 'gpt-6-luna',
      reasoningEffort: read.optional('OPENAI_REASONING_EFFORT', z.enum(reasoningEfforts), reasoningEfforts.join(', ')),
    },
    webhook: {
      retryScheduleMs: read.optional(
        'WEBHOOK_RETRY_SCHEDULE',
        list.pipe(z.array(duration).min(1).max(50)),
        schedule,
      ) ?? [5000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 36_000_000],
      timeoutMs: read.optional('WEBHOOK_TIMEOUT', duration.pipe(z.number().min(10).max(600_000)), timeout) ?? 15_000,
      allowedNetworks:
        read.optional(
          'WEBHOOK_ALLOWED_NETWORKS',
          list.pipe(z.array(network)),
          'networks joined by commas, such as 10.0.0.0/8,fd00::/8',
        ) ?? [],
      nat64Prefixes:
        read.optional(
          'WEBHOOK_NAT64_PREFIXES',
          list.pipe(z.array(nat64Prefix)),
          'IPv6 prefixes of 32, 40, 48, 56, 64 or 96 bits joined by commas, such as 2001:db8:64::/96',
        ) ?? [],
      proxyUrl: read.optional('WEBHOOK_PROXY_URL', httpUrl, 'an http or https address', true),
    },
    dispatcherConcurrency:
      read.optional('DISPATCHER_CONCURRENCY', wholeNumber(1, 20_000), 'a whole number from 1 to 20000') ?? 1_000,
    dispatcherMemoryBytes:
      read.optional('DISPATCHER_MEMORY', memory, 'a size from 16MB to 16GB, such as 64MB') ?? 64 * megabyte,
    logLevel:
      read.optional(
        'LOG_LEVEL',
        z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
        'fatal, error, warn, info, debug, trace or silent',
      ) ?? 'info',
    retentionDays:
      read.optional('RETENTION_DAYS', wholeNumber(1, 36_500), 'a whole number of days from 1 to 36500') ?? 30,
  }
}

/**
 * Checks what the chosen roles cannot do without, once generated secrets have been filled in.
 *
 * @throws {ConfigError} naming the variable that is missing.
 */
export function requireSecrets(config: Config, chosen: readonly Role[]): void {
  if (chosen.includes('api') && config.adminTokens.length === 0) {
    throw new ConfigError(`ADMIN_TOKEN: got nothing; expected ${adminTokensExpected}`)
  }
  if (config.secretsKey === null && (chosen.includes('api') || chosen.includes('dispatcher'))) {
    throw new ConfigError('SECRETS_KEY: got nothing; expected 32 bytes in base64 (openssl rand -base64 32)')
  }
}
