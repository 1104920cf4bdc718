#!/usr/bin/env node
import { type Config, ConfigError, type Role, readConfig, roles } from './config.ts'
import { openDatabase } from './database/open.ts'
import { explainMigration } from './database/unusable.ts'
import { allowSlowHandshakes } from './lib/outbound-connections.ts'
import { startService } from './service.ts'
import { sayWhatIsMissing } from './start-report.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'

const usage = `callbox start [api] [worker] [dispatcher]   run these roles; none named: all, in one process
callbox migrate                             bring the schema of DATABASE_URL to this version
callbox reseal                              encrypt all secrets anew, from SECRETS_KEY_PREVIOUS to SECRETS_KEY
callbox demo [--keep]                       play a few calls on the embedded database
`

allowSlowHandshakes()

const [command, ...words] = process.argv.slice(2)

try {
  if (command === 'start') await runStart(words)
  else if (command === 'migrate' && words.length === 0) await runMigrate()
  else if (command === 'reseal' && words.length === 0) {
    const { runReseal } = await import('./reseal.ts')
    await runReseal(readConfig(process.env))
  } else if (command === 'demo' && words.every((word) => word === '--keep')) {
    const { runDemo } = await import('./demo/demo.ts')
    process.exitCode = await runDemo({ keep: words.includes('--keep') })
  } else if (command === 'help' || command === '--help') {
    process.stdout.write(usage)
  } else {
    process.stderr.write(usage)
    process.exitCode = 2
  }
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}

async function runStart(words: string[]): Promise<void> {
  const unknown = words.find((word) => !roles.some((role) => role === word))
  if (unknown !== undefined) throw new ConfigError(`start: got "${unknown}"; takes api, worker, dispatcher`)
  const chosen: Role[] = words.length === 0 ? [...roles] : roles.filter((role) => words.includes(role))
  const config = readConfig(process.env)
  const log = createLogger(config.logLevel, chosen.length === roles.length ? 'callbox' : chosen.join('+'))
  await runUntilSignal(config, chosen, log)
}

async function runUntilSignal(config: Config, chosen: Role[], log: Logger): Promise<void> {
  const signalled = Promise.withResolvers<void>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ event: 'service.stopping', signal }, `${signal}: finishing what is under way; once more ends at once`)
      process.once(signal, () => process.exit(1))
      signalled.resolve()
    })
  }
  const service = await startService(config, chosen, log)
  sayWhatIsMissing(config, service.config.publicUrl, chosen, log)
  try {
    await Promise.race([signalled.promise, service.failed])
  } catch (error) {
    if (error instanceof ConfigError) throw error
    log.fatal({ event: 'service.failed', err: error }, 'the service cannot go on')
    process.exitCode = 1
  } finally {
    await service.stop()
  }
  log.info({ event: 'service.stopped' }, 'stopped')
  // A database that has vanished never closes its connections, and they would keep the process.
  setTimeout(() => process.exit(), 1_000).unref()
}

async function runMigrate(): Promise<void> {
  const config = readConfig(process.env)
  const url = config.databaseDirectUrl ?? config.databaseUrl
  if (url === null) {
    const opened = await openDatabase(config, true)
    await opened.embedded?.stop()
    process.stdout.write(`the embedded database in ${config.home} is current; DATABASE_URL would name another\n`)
    return
  }
  const { migrate } = await import('./database/migrate.ts')
  const say = (line: string) => process.stderr.write(`${line}\n`)
  const applied = await migrate(url, config.databaseSchema, say).catch((error: unknown) => {
    throw explainMigration(error, config.databaseDirectUrl === null ? 'DATABASE_URL' : 'DATABASE_DIRECT_URL')
  })
  process.stdout.write(
    applied.length === 0 ? 'nothing to do: the schema is current\n' : `applied ${applied.join(', ')}\n`,
  )
}
