import { randomBytes } from 'node:crypto'
import { CallboxProcess } from './callbox-process.ts'
import type { BenchDatabase } from './database.ts'
import { until } from './until.ts'

const readyMs = 20_000

/** `callbox start api`, and a client of its admin API. */
export class ApiProcess {
  readonly #token = randomBytes(16).toString('hex')
  readonly #process: CallboxProcess

  constructor(database: BenchDatabase, profileInto: string | null) {
    this.#process = new CallboxProcess('api', database, profileInto, { PORT: '0', ADMIN_TOKEN: this.#token })
  }

  /** @returns what the answer's JSON says. @throws Error for any status but 2xx. */
  async ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${await this.#process.address()}/admin${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text)
  }

  async untilReady(): Promise<void> {
    const address = await this.#process.address()
    await until('the API is ready', readyMs, async () => (await fetch(`${address}/readyz`)).ok)
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}
