#!/usr/bin/env node
import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }
import { type Config, ConfigError, type Role, readConfig, roles } from './config.ts'
import { type EnvFile, loadEnvFile } from './env-file.ts'
import { allowSlowHandshakes } from './lib/outbound-connections.ts'
import { onStopSignal } from './lib/stop-signals.ts'
import { createLogger } from './telemetry/logger.ts'

interface Command {
  /** Arguments, as usage shows them. */
  words: string
  does: string
  positionals: readonly string[]
  options: readonly string[]
  run(words: readonly string[]): Promise<void>
}

const commands: Record<string, Command> = {
  start: {
    words: '[api] [worker] [dispatcher]',
    does: 'run these roles; without a name all of them, in one process',
    positionals: roles,
    options: [],
    run: runStart,
  },
  migrate: {
    words: '',
    does: 'bring the schema of DATABASE_URL to this version',
    positionals: [],
    options: [],
    run: runMigrate,
  },
  reseal: {
    words: '',
    does: 'encrypt all secrets again, from SECRETS_KEY_PREVIOUS to SECRETS_KEY',
    positionals: [],
    options: [],
    run: runReseal,
  },
  check: {
    words: '[--repair]',
    does: 'find events that are unaccounted for; --repair makes them due again',
    positionals: [],
    options: ['--repair'],
    run: runCheck,
  },
  demo: {
    words: '[--keep]',
    does: 'play a few calls on the embedded database; --keep leaves it running',
    positionals: [],
    options: ['--keep'],
    run: runDemo,
  },
}

/** Wrong usage; its message is the first line to print. */
class UsageError extends Error {}

let envFile: EnvFile | null = null

allowSlowHandshakes()

try {
  await runCommand(process.argv.slice(2))
} catch (error) {
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n\n${usageOf(Object.keys(commands))}`)
    process.exitCode = 2
  } else if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}${originOf(error)}\n`)
    process.exitCode = 1
  } else {
    throw error
  }
}

async function runCommand([name, ...rest]: readonly string[]): Promise<void> {
  if (name === undefined) throw new UsageError('callbox: got no command')
  const isHelp = name === 'help' || name === '--help' || name === '-h'
  if (isHelp || name === '--version') {
    process.stdout.write(isHelp ? usageOf(rest.filter((word) => Object.hasOwn(commands, word))) : version())
    return
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) {
    throw new UsageError(`callbox: got ${JSON.stringify(name)}; expected ${Object.keys(commands).join(', ')}`)
  }
  const words = readWords(rest)
  if (words.some((word) => word === '--help' || word === '-h')) process.stdout.write(usageOf([name]))
  else if (words.includes('--version')) process.stdout.write(version())
  else await command.run(checkWords(name, command, words))
}

/** Options as `--name` or `--name=value`, and positionals, in order. */
function readWords(args: string[]): string[] {
  const { tokens } = parseArgs({ args, strict: false, allowPositionals: true, tokens: true })
  return tokens.flatMap((token) => {
    if (token.kind === 'positional') return [token.value]
    if (token.kind === 'option') return [`${token.rawName}${token.value === undefined ? '' : `=${token.value}`}`]
    return []
  })
}

/** @throws {UsageError} for the first word that the command does not accept. */
function checkWords(name: string, { positionals, options }: Command, words: readonly string[]): readonly string[] {
  const known = [...positionals, ...options]
  const unknown = words.find((word) => !known.includes(word))
  if (unknown === undefined) return words
  throw new UsageError(`${name}: got ${JSON.stringify(unknown)}; expected ${known.join(', ') || 'nothing'}`)
}

/** @param names none: of all. */
function usageOf(names: readonly string[]): string {
  const shown = Object.entries(commands).filter(([name]) => names.length === 0 || names.includes(name))
  const lines = shown.map(([name, { words, does }]) => `${`callbox ${name} ${words}`.padEnd(44)}${does}\n`)
  return `${lines.join('')}\n--help, -h   print this\n--version    print the version\n`
}

function version(): string {
  return `${manifest.version}\n`
}

/** The environment with `.env` of the working directory. */
function readSettings(): Config {
  envFile = loadEnvFile(process.cwd(), process.env)
  return readConfig(process.env)
}

/** Says that the variable of an error came from the file. */
function originOf({ message }: ConfigError): string {
  const name = /^[A-Z_]+(?=:)/.exec(message)?.[0]
  return envFile !== null && name !== undefined && envFile.names.has(name) ? ` (set in ${envFile.path})` : ''
}

function printEnvFile(): void {
  if (envFile !== null) process.stdout.write(`settings from ${envFile.path}\n`)
}

async function runStart(words: readonly string[]): Promise<void> {
  const chosen: Role[] = words.length === 0 ? [...roles] : roles.filter((role) => words.includes(role))
  const config = readSettings()
  const log = createLogger(config.logLevel, chosen.length === roles.length ? 'callbox' : chosen.join('+'))
  const signalled = Promise.withResolvers<void>()
  onStopSignal((signal) => {
    log.info(
      { event: 'service.stopping', signal },
      `${signal}: finishing work in progress; another signal after 2 s exits immediately`,
    )
    signalled.resolve()
  })
  if (envFile !== null) log.info({ event: 'service.env_file', file: envFile.path }, `settings from ${envFile.path}`)
  const { startService } = await import('./service.ts')
  const { sayWhatIsMissing } = await import('./start-report.ts')
  const service = await startService(config, chosen, log)
  sayWhatIsMissing(config, service.config, chosen, log)
  try {
    await Promise.race([signalled.promise, service.failed])
  } catch (error) {
    if (error instanceof ConfigError) throw error
    log.fatal({ event: 'service.failed', err: error }, 'the service cannot continue')
    process.exitCode = 1
  } finally {
    await service.stop()
  }
  log.info({ event: 'service.stopped' }, 'stopped')
  // A database that has vanished never closes its connections, and they would keep the process.
  setTimeout(() => process.exit(), 1_000).unref()
}

async function runMigrate(): Promise<void> {
  const config = readSettings()
  printEnvFile()
  const url = config.databaseDirectUrl ?? config.databaseUrl
  if (url === null) {
    const { openDatabase } = await import('./database/open.ts')
    const opened = await openDatabase(config, true)
    await opened.embedded?.stop()
    process.stdout.write(
      `the embedded database in ${config.home} is current; to migrate another database set DATABASE_URL\n`,
    )
    return
  }
  const { explainMigration } = await import('./database/unusable.ts')
  const { migrate } = await import('./database/migrate.ts')
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const applied = await migrate(url, config.databaseSchema, say).catch((error: unknown) => {
    throw explainMigration(error, config.databaseDirectUrl === null ? 'DATABASE_URL' : 'DATABASE_DIRECT_URL')
  })
  process.stdout.write(
    applied.length === 0 ? 'nothing to do: the schema is current\n' : `applied ${applied.join(', ')}\n`,
  )
}

async function runReseal(): Promise<void> {
  const config = readSettings()
  printEnvFile()
  const { runReseal: reseal } = await import('./reseal.ts')
  await reseal(config)
}

async function runCheck(words: readonly string[]): Promise<void> {
  const config = readSettings()
  printEnvFile()
  const { runCheck: check } = await import('./check.ts')
  process.exitCode = await check(config, words.includes('--repair'))
}

async function runDemo(words: readonly string[]): Promise<void> {
  const { runDemo: demo } = await import('./demo/demo.ts')
  process.exitCode = await demo({ keep: words.includes('--keep') })
}
