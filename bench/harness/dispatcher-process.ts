import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { secretsKey } from './businesses.ts'
import type { BenchDatabase } from './database.ts'
import { until } from './until.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const endWithParent = new URL('../../src/demo/end-with-parent.ts', import.meta.url).href
const logs = fileURLToPath(new URL('../../.callbox/bench-logs/', import.meta.url))
const listening = z.object({ event: z.literal('service.listening'), port: z.number() })
const startMs = 20_000
const patienceMs = 1_000
const profilePatienceMs = 20_000
let started = 0

/** What a dispatcher tells of itself at `/metrics`. */
export interface DispatcherFigures {
  delivered: number
  attempts: number
  slots: number
  residentBytes: number
  cpuSeconds: number
}

/** `callbox start dispatcher` as it is shipped: settings by its environment, figures by its metrics, its log a file. */
export class DispatcherProcess {
  readonly #process: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #log: string
  readonly #patienceMs: number
  #port: Promise<number> | null = null
  #over = false

  /** @param profileInto a directory for V8's CPU profiles; `null`: none are made. */
  constructor(database: BenchDatabase, profileInto: string | null, settings: Record<string, string> = {}) {
    mkdirSync(logs, { recursive: true })
    started += 1
    this.#log = `${logs}dispatcher-${started}.log`
    const output = openSync(this.#log, 'w')
    this.#patienceMs = profileInto === null ? patienceMs : profilePatienceMs
    const profile = profileInto === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileInto}`]
    this.#process = spawn(process.execPath, [...profile, '--import', endWithParent, cli, 'start', 'dispatcher'], {
      env: {
        PATH: process.env['PATH'],
        DATABASE_URL: database.url,
        SECRETS_KEY: secretsKey.toString('base64'),
        METRICS_PORT: '0',
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

  async figures(): Promise<DispatcherFigures> {
    this.#port ??= this.#findPort()
    const response = await fetch(`http://127.0.0.1:${await this.#port}/metrics`)
    const lines = (await response.text()).split('\n')
    const sum = (name: string, label = ''): number =>
      lines
        .filter((line) => line.startsWith(name) && line.includes(label))
        .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' '))), 0)
    return {
      delivered: sum('callbox_webhook_deliveries_total{', 'outcome="delivered"'),
      attempts: sum('callbox_webhook_attempts_total{'),
      slots: sum('callbox_dispatcher_slots '),
      residentBytes: sum('process_resident_memory_bytes '),
      cpuSeconds: sum('process_cpu_seconds_total '),
    }
  }

  /** Lets it drain, but not until hanging endpoints time out, unless there is a profile to be written. */
  async stop(): Promise<void> {
    this.#process.kill('SIGTERM')
    const patience = setTimeout(() => this.#process.kill('SIGKILL'), this.#patienceMs)
    await this.#exited
    clearTimeout(patience)
  }

  /** @throws Error with its last words when it ends instead of listening. */
  #findPort(): Promise<number> {
    return until('the dispatcher listens', startMs, async () => {
      const lines = readFileSync(this.#log, 'utf8').split('\n')
      if (this.#over) throw new Error(`the dispatcher ended by itself; its last words:\n${lines.slice(-5).join('\n')}`)
      const line = lines.find((text) => text.includes('service.listening'))
      return line !== undefined && listening.parse(JSON.parse(line)).port
    })
  }
}
