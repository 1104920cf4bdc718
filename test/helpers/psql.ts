import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** Another program's session: `psql` where it is installed, else a few lines of Node around `pg`. */
export interface Psql {
  /** Runs one statement and returns its first value as text; `''` for none. @throws Error when the session has ended. */
  ask(statement: string): Promise<string>
  /** Ends the program in the middle of whatever it does. */
  kill(): Promise<void>
}

const isInstalled = ((): boolean => {
  try {
    execFileSync('psql', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

const standIn = fileURLToPath(new URL('./psql-stand-in.ts', import.meta.url))

export function startPsql(databaseUrl: string): Psql {
  const child = isInstalled
    ? spawn('psql', ['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', databaseUrl])
    : spawn(process.execPath, [standIn, databaseUrl])
  const lines = readLines(child)
  return {
    async ask(statement) {
      child.stdin?.write(`${statement};\nselect 'end of answer';\n`)
      const answer: string[] = []
      for (;;) {
        const { value, done } = await lines.next()
        if (done) throw new Error(`the session ended in: ${statement}`)
        if (value === 'end of answer') return answer[0] ?? ''
        if (value !== '') answer.push(value)
      }
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function* readLines(child: ChildProcess): AsyncGenerator<string, undefined> {
  let rest = ''
  for await (const chunk of child.stdout ?? []) {
    const parts = `${rest}${chunk}`.split('\n')
    rest = parts.pop() ?? ''
    yield* parts
  }
}
