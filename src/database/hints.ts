import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Logger } from '../telemetry/logger.ts'
import { codeOf } from './errors.ts'
import { GuardedClient } from './guarded-client.ts'
import { connectionSettings } from './pool.ts'
import { hintChannel } from './schema.ts'
import type { SettingsLevel } from './session-settings.ts'

/** PostgreSQL's limit for a payload is 8000 bytes (its documentation, NOTIFY). */
const longestPayload = 7_900
const heartbeatMs = 5_000
/** A connection to a former primary may stay open; it is closed after this time, in milliseconds. */
const maxLifeMs = 30 * 60_000
/** A slow database delays the next hints by no more than this, in milliseconds. */
const longestRestMs = 20

/** The name of a route in a hint. */
export const routeName = (businessId: string, direction: string): string => `${businessId}:${direction}`

/**
 * Tells dispatchers which routes have something new. Call it after the commit, never inside the transaction: a NOTIFY
 * takes a lock on the whole database at commit. Hints that come while one is on its way, and for as long again, are sent
 * together: each is a commit, and wakes every listener. A hint may be lost: polling finds what it named.
 */
export class HintSender {
  readonly #pool: pg.Pool
  readonly #channel: string
  readonly #waiting = new Set<string>()
  #sending: Promise<void> | null = null

  constructor(pool: pg.Pool, schema: string) {
    this.#pool = pool
    this.#channel = hintChannel(schema)
  }

  hint(businessId: string, direction: string): void {
    this.#waiting.add(routeName(businessId, direction))
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null
    })
  }

  /** Resolves when what was hinted so far has been sent or given up. */
  async flush(): Promise<void> {
    await this.#sending
  }

  async #send(): Promise<void> {
    while (this.#waiting.size > 0) {
      let payload = ''
      for (const name of this.#waiting) {
        if (payload.length + name.length + 1 > longestPayload) break
        payload += payload === '' ? name : `,${name}`
        this.#waiting.delete(name)
      }
      const begunMs = performance.now()
      await this.#pool.query('select pg_notify($1, $2)', [this.#channel, payload]).catch(() => undefined)
      await sleep(Math.min(longestRestMs, performance.now() - begunMs))
    }
  }
}

/**
 * Listens for hints on a session of its own, and connects again when it is lost. `onHint` gets the routes named;
 * after each (re)connect it gets none, since hints may have been missed.
 */
export class HintListener {
  readonly #url: string
  readonly #channel: string
  readonly #onHint: (routes: string[]) => void
  readonly #log: Logger
  readonly #settings: { level: SettingsLevel } = { level: 'all' }
  #client: GuardedClient | null = null
  #timer: NodeJS.Timeout | null = null
  #stopped = false

  constructor(url: string, schema: string, onHint: (routes: string[]) => void, log: Logger) {
    this.#url = url
    this.#channel = hintChannel(schema)
    this.#onHint = onHint
    this.#log = log
  }

  start(): void {
    void this.#connect()
  }

  /** Does not wait for the server to say goodbye: one that has vanished never does. */
  stop(): void {
    this.#stopped = true
    if (this.#timer) clearTimeout(this.#timer)
    void this.#client?.end().catch(() => undefined)
  }

  async #connect(): Promise<void> {
    const connectedMs = performance.now()
    const settings = this.#settings
    const client = new GuardedClient({ ...connectionSettings(this.#url, 'callbox hints'), settings })
    let lost = false
    const lose = (err?: unknown): void => {
      if (lost) return
      lost = true
      this.#client = null
      void client.end().catch(() => undefined)
      if (this.#stopped) return
      this.#log.debug({ event: 'hints.lost', err }, 'no hints for now; polling goes on')
      this.#later(() => void this.#connect(), 1_000)
    }
    client.on('error', lose)
    client.on('end', () => lose())
    client.on('notification', (message) => this.#onHint((message.payload ?? '').split(',')))
    try {
      await client.connect()
      await client.prove()
      await client.query(`listen "${this.#channel}"`)
      this.#client = client
      if (this.#stopped) return lose()
      this.#onHint([])
      this.#heartbeat(client, connectedMs, lose)
    } catch (error) {
      // A pooler may reject some settings; the next connection sends fewer.
      if (/^(08|0A|42)/.test(codeOf(error))) settings.level = 'tracked'
      lose(error)
    }
  }

  /** A half-open connection delivers nothing and reports nothing; only asking shows it. */
  #heartbeat(client: GuardedClient, connectedMs: number, lose: (err?: unknown) => void): void {
    this.#later(() => {
      if (performance.now() - connectedMs > maxLifeMs) return lose()
      client.prove().then(() => this.#client === client && this.#heartbeat(client, connectedMs, lose), lose)
    }, heartbeatMs)
  }

  #later(run: () => void, ms: number): void {
    if (!this.#stopped) this.#timer = setTimeout(run, ms)
  }
}
