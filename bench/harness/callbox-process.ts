import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { secretsKey } from './businesses.ts'
import type { BenchDatabase } from './database.ts'
import { until } from './until.ts'

const endWithParent = new URL('../../src/demo/end-with-parent.ts', import.meta.url).href
const logs = fileURLToPath(new URL('../../.callbox/bench-logs/', import.meta.url))
const listening = z.object({ event: z.literal('service.listening'), port: z.number() })
const startMs = 20_000
const patienceMs = 1_000
const profilePatienceMs = 20_000
let started = 0

/** `callbox start <role>` as it is shipped: settings by its environment, its log a file. */
export class CallboxProcess {
  readonly #role: string
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #log: string
  readonly #patienceMs: number
  #address: Promise<string> | null = null
  #over = false

  /** @param profileInto a directory for V8's CPU profiles; `null`: none are made. */
  constructor(
    role: 'api' | 'dispatcher',
    database: BenchDatabase,
    profileInto: string | null,
    settings: Record<string, string>,
  ) {
    mkdirSync(logs, { recursive: true })
    started += 1
    this.#role = role
    this.#log = `${logs}${role}-${started}.log`
    const output = openSync(this.#log, 'w')
    this.#patienceMs = profileInto === null ? patienceMs : profilePatienceMs
    const profile = profileInto === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileInto}`]
    const words = [...profile, '--import', endWithParent, database.version.cli, 'start', role]
    this.#process = spawn(process.execPath, words, {
      env: {
        PATH: process.env['PATH'],
        DATABASE_URL: database.url,
        SECRETS_KEY: secretsKey.toString('base64'),
        WEBHOOK_ALLOWED_NETWORKS: '127.0.0.0/8',
        ...settings,
      },
      stdio: ['ignore', output, output, 'ipc'],
    })
    closeSync(output)
    this.#exited = once(this.#process, 'exit').then(() => {
      this.#over = true
    })
  }

  /** `http://127.0.0.1:<port>`, once it listens. @throws Error with its last words when it ends instead. */
  address(): Promise<string> {
    this.#address ??= until(`the ${this.#role} listens`, startMs, async () => {
      const lines = readFileSync(this.#log, 'utf8').split('\n')
      if (this.#over) throw new Error(`the ${this.#role} has ended; its last words:\n${lines.slice(-5).join('\n')}`)
      const line = lines.find((text) => text.includes('service.listening'))
      return line !== undefined && `http://127.0.0.1:${listening.parse(JSON.parse(line)).port}`
    })
    return this.#address
  }

  /** Lets it drain, but not until hanging endpoints time out, unless there is a profile to be written. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), this.#patienceMs)
    await this.#exited
    clearTimeout(patience)
  }
}
