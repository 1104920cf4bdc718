import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { secretsKey } from './businesses.ts'
import { eventually } from './eventually.ts'

export type LogLine = Record<string, unknown> & { event?: string }

export interface ServiceProcess {
  pid: number
  /** What it has logged so far. */
  log: readonly LogLine[]
  /** Resolves with the first line of this event that has not been waited for yet. */
  untilLogged(event: string): Promise<LogLine>
  /** @throws Error when the process ends before it is ready. */
  ready(): Promise<void>
  /** Sends a signal to this one process. */
  signal(name: NodeJS.Signals): void
  /** Resolves with the exit code, or the signal that ended it. */
  exited(): Promise<number | NodeJS.Signals>
  hasExited(): boolean
}

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const endWithParent = new URL('../../src/demo/end-with-parent.ts', import.meta.url).href

/** `callbox start …` as it runs in production, that may post to loopback; it ends when this process does. */
export function spawnService(
  roles: string[],
  databaseUrl: string,
  settings: Record<string, string> = {},
): ServiceProcess {
  const env = {
    PATH: process.env['PATH'],
    DATABASE_URL: databaseUrl,
    SECRETS_KEY: secretsKey.toString('base64'),
    METRICS_PORT: '0',
    WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
    WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms,50ms',
    ...settings,
  }
  const child = spawn(process.execPath, ['--import', endWithParent, cli, 'start', ...roles], {
    env,
    // Not the root, where a developer may have a `.env`.
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const log: LogLine[] = []
  const seen = new Map<string, number>()
  let complaints = ''
  readLines(child, log)
  child.stderr?.on('data', (chunk) => {
    complaints += chunk
  })
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals)

  const untilLogged = (event: string): Promise<LogLine> =>
    eventually(`${roles.join('+')} logs ${event}`, () => {
      const lines = log.filter((line) => line.event === event)
      const line = lines[seen.get(event) ?? 0]
      if (line === undefined && hasExited()) throw new Error(`it ended before it logged ${event}: ${complaints}`)
      if (line !== undefined) seen.set(event, (seen.get(event) ?? 0) + 1)
      return line
    })
  return {
    pid: child.pid ?? 0,
    log,
    untilLogged,
    async ready() {
      await untilLogged('service.ready')
    },
    signal: (name) => void child.kill(name),
    exited: () => exited,
    hasExited,
  }
}

function readLines(child: ChildProcess, log: LogLine[]): void {
  let rest = ''
  child.stdout?.on('data', (chunk) => {
    const parts = `${rest}${chunk}`.split('\n')
    rest = parts.pop() ?? ''
    for (const part of parts) if (part.startsWith('{')) log.push(JSON.parse(part))
  })
}
