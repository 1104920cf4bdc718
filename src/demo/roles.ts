import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { Role } from '../config.ts'

const cli = fileURLToPath(new URL('../cli.ts', import.meta.url))
const endWithParent = new URL('./end-with-parent.ts', import.meta.url).href
const drainMs = 10_000
const logLine = z.object({ msg: z.string(), err: z.object({ message: z.string() }).optional() })

export interface RunningRole {
  /** Resolves when it says that it is ready. */
  ready: Promise<void>
  /** Rejects, with the role's last words, when it ends. */
  failed: Promise<never>
  /** Lets it drain, for 10 s at most. */
  stop(): Promise<void>
}

/** Runs `callbox start <role>` as a process of its own, its log in the directory `logs`. */
export function spawnRole(role: Role, env: NodeJS.ProcessEnv, logs: string): RunningRole {
  // Detached: Ctrl-C in a terminal goes to the whole foreground group, and the roles are to end in order.
  const child = spawn(process.execPath, ['--import', endWithParent, cli, 'start', role], {
    env,
    // Settings of a `.env` must not reach into the demo.
    cwd: logs,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const exited = once(child, 'exit').finally(() => process.off('exit', killAtExit))

  const file = createWriteStream(join(logs, `${role}.log`))
  const lastWords: string[] = []
  const ready = Promise.withResolvers<void>()
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue
    stream.pipe(file, { end: false })
    createInterface({ input: stream }).on('line', (line) => {
      if (lastWords.push(readable(line)) > 5) lastWords.shift()
      if (line.includes('"event":"service.ready"')) ready.resolve()
    })
  }

  const failed = exited.then((): never => {
    file.end()
    throw new Error(`${role} ended by itself; its last words:\n${lastWords.join('\n')}`)
  })
  failed.catch(() => undefined)
  return { ready: ready.promise, failed, stop: () => end(child, exited) }
}

async function end(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM')
  const patience = setTimeout(() => child.kill('SIGKILL'), drainMs)
  await exited
  clearTimeout(patience)
}

/** A line of a log as its message, and its error's; what is no log line stays as it is. */
function readable(line: string): string {
  try {
    const { msg, err } = logLine.parse(JSON.parse(line))
    return err === undefined ? msg : `${msg}: ${err.message}`
  } catch {
    return line
  }
}
