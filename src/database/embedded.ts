import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigError } from '../config.ts'
import { freePort } from './free-port.ts'

export interface ServerOptions {
  directory: string
  port: number
  password: string
  /** `name=value` settings of postgresql.conf. */
  settings: string[]
}

/** What the server's process is told; it cannot look for itself: `access(2)` disregards its capability. */
export interface ServerTask extends ServerOptions {
  fresh: boolean
}

export type ServerReport = { ready: true } | { ready: false; why: string }

export interface EmbeddedDatabase {
  url: string
  port: number
  /** Process id of the postmaster. */
  postmasterPid: number
  /** Resolves when the server process has ended, whoever ended it. */
  ended: Promise<void>
  stop(): Promise<void>
}

/** The uid of `nobody` on Linux: PostgreSQL refuses to run as root, and this one exists wherever root does. */
const nobody = 65_534

/**
 * Starts PostgreSQL on the loopback interface with its data in `directory`, which is made at the first start.
 *
 * As root the server runs as `nobody`, with the one capability that lets it reach a directory below, say, `/root`, and
 * the bit that lets `access(2)`, with which initdb looks for its binaries, regard that capability (capabilities(7)).
 *
 * @param options.port 0: any free port.
 * @throws Error with the server's own last words when it does not start.
 */
export async function startEmbeddedDatabase(options: ServerOptions): Promise<EmbeddedDatabase> {
  const port = options.port === 0 ? await freePort() : options.port
  await waitForFormerServer(options.directory)
  mkdirSync(options.directory, { recursive: true, mode: 0o700 })
  const child = spawnServer({ ...options, port, fresh: !existsSync(join(options.directory, 'PG_VERSION')) })
  const ended = once(child, 'exit').then(() => undefined)
  const report = await Promise.race([
    once(child, 'message').then(([message]) => message as ServerReport),
    ended.then((): ServerReport => ({ ready: false, why: 'the server ended at once' })),
  ])
  if (!report.ready) {
    await ended
    throw new Error(`the embedded PostgreSQL in ${options.directory} did not start: ${report.why}`)
  }
  return {
    url: `postgres://callbox:${options.password}@127.0.0.1:${port}/postgres`,
    port,
    postmasterPid: readPostmasterPid(options.directory) ?? 0,
    ended,
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

function spawnServer(task: ServerTask): ChildProcess {
  const script = fileURLToPath(new URL('./embedded-server.ts', import.meta.url))
  const command = [process.execPath, script]
  if (process.getuid?.() === 0) {
    chownSync(task.directory, nobody, nobody)
    const user = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups']
    const reach = ['--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--securebits=+no_setuid_fixup']
    command.unshift('setpriv', ...user, ...reach)
  }
  const [file = '', ...rest] = command
  // Detached: Ctrl-C in a terminal goes to the whole foreground group, and the roles need the database to drain.
  const stdio: ['ignore', 'ignore', 'ignore', 'ipc'] = ['ignore', 'ignore', 'ignore', 'ipc']
  const { PATH, HOME, TMPDIR, LD_LIBRARY_PATH } = process.env
  // Nothing else: keys of other services are none of its business.
  const env = { PATH, HOME, TMPDIR, LD_LIBRARY_PATH, TZ: 'UTC' }
  const child = spawn(file, rest, { detached: true, stdio, env })
  // One that ended at once is told of by its exit.
  child.send(task, () => undefined)
  return child
}

/** A `kill -9` of Callbox leaves its server a moment to stop: a start right after it waits for that. */
async function waitForFormerServer(directory: string): Promise<void> {
  const deadline = performance.now() + 10_000
  for (let pid = readPostmasterPid(directory); pid !== null && isPostgres(pid); pid = readPostmasterPid(directory)) {
    if (performance.now() > deadline) {
      throw new ConfigError(`CALLBOX_HOME: another Callbox runs on ${directory}: PostgreSQL has process id ${pid}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

function readPostmasterPid(directory: string): number | null {
  const file = join(directory, 'postmaster.pid')
  if (!existsSync(file)) return null
  return Number.parseInt(readFileSync(file, 'utf8'), 10) || null
}

function isPostgres(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  if (!existsSync('/proc/self/cmdline')) return true
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('postgres')
  } catch {
    return false
  }
}
