import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { eventually } from './eventually.ts'

export interface Example {
  /** What it is, and what it verifies with. */
  name: string
  command: string
  script: string
  environment: Record<string, string>
}

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const pythonHas = (module: string): boolean => spawnSync('python3', ['-c', `import ${module}`]).status === 0
const pythonHasLibrary = pythonHas('standardwebhooks')

const node: Example = {
  name: 'Node',
  command: process.execPath,
  script: pathOf('../../examples/node/receiver.js'),
  environment: {},
}
const python: Example = {
  name: pythonHasLibrary ? 'Python' : 'Python, verifying with a stand-in: PyPI’s standardwebhooks is not installed',
  command: 'python3',
  script: pathOf('../../examples/python/receiver.py'),
  environment: {
    PYTHONDONTWRITEBYTECODE: '1',
    ...(pythonHasLibrary ? {} : { PYTHONPATH: pathOf('./python-stand-in') }),
  },
}

/** Those that this machine can run. */
export const examples: readonly Example[] = pythonHas('sqlite3') ? [node, python] : [node]
/** Why one cannot be run; `null`: all can. */
export const leftOut = examples.includes(python) ? null : 'the receiver in Python: there is no python3 with SQLite'

export interface RunningExample {
  /** Where webhooks are posted to. */
  url: string
  /** What it printed for each delivery that it took, as `<webhook-id> handled` or `<webhook-id> seen before`. */
  lines: readonly string[]
  /** CallSids of the calls that it has handled. */
  calls(): string[]
  /** Ids of the deliveries that it remembers. */
  remembered(): string[]
  /** `kill -9`, and the same again on the same port and the same database. */
  killAndStartAgain(): Promise<void>
}

/** An example as its README says to start it, on any free port; killed when the test ends. */
export async function startExample(example: Example, secret: string): Promise<RunningExample> {
  const directory = mkdtempSync(join(tmpdir(), 'callbox-example-'))
  const database = join(directory, 'calls.sqlite')
  const lines: string[] = []
  let child: ChildProcess | null = null
  let port = 0

  const start = async (): Promise<void> => {
    const { PATH, HOME } = process.env
    const env = { PATH, HOME, CALLBOX_SECRET: secret, DATABASE: database, PORT: String(port), ...example.environment }
    const started = spawn(example.command, [example.script], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    child = started
    let complaints = ''
    started.stderr.on('data', (chunk) => {
      complaints += chunk
    })
    started.once('error', (error) => {
      complaints += error.message
    })
    let printed = ''
    const begun = lines.length
    started.stdout.on('data', (chunk) => {
      printed += chunk
      lines.splice(begun, lines.length, ...printed.split('\n').slice(0, -1))
    })
    port = await eventually(`${example.name} listens: ${complaints}`, () => {
      if (started.exitCode !== null) throw new Error(`${example.name} ended: ${complaints}`)
      return Number(/^listening on (\d+)$/.exec(lines[begun] ?? '')?.[1] ?? 0) || undefined
    })
  }
  const kill = async (): Promise<void> => {
    if (child === null || child.exitCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  onTestFinished(async () => {
    await kill()
    rmSync(directory, { recursive: true, force: true })
  })
  await start()

  const column = (sql: string): string[] => {
    const reader = new DatabaseSync(database, { readOnly: true })
    try {
      return reader
        .prepare(sql)
        .all()
        .map((row) => String(Object.values(row)[0]))
    } finally {
      reader.close()
    }
  }
  return {
    url: `http://127.0.0.1:${port}/calls`,
    lines,
    calls: () => column('select call_id from calls order by call_id'),
    remembered: () => column('select webhook_id from deliveries order by webhook_id'),
    async killAndStartAgain() {
      await kill()
      await start()
    },
  }
}
