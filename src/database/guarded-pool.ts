import pg from 'pg'
import type { Logger } from '../telemetry/logger.ts'
import { codeOf, NoConnection, SessionFault, sessionFaults } from './errors.ts'
import { GuardedClient, type GuardedClientConfig } from './guarded-client.ts'
import type { SettingsLevel } from './session-settings.ts'

/** A connection that was idle for this long is checked before use, in milliseconds. */
const recheckMs = 5_000

type Taken = (
  error: Error | undefined,
  client: pg.PoolClient | undefined,
  done: (error?: Error | boolean) => void,
) => void
type PooledClient = GuardedClient & pg.PoolClient

/** SQLSTATEs that concern our user, our database, or the server's slots or state, and not our session settings. */
const saysWhy = /^(28|3D|53|57)/

/**
 * Connections that can write. One statement without an answer, or one refused by a read-only session, condemns all
 * connections that exist then: after a failover they lead to the former primary, and each would cost a deadline.
 *
 * `#clients` and `#idle` are written by the listeners of the constructor alone.
 */
export class GuardedPool extends pg.Pool {
  readonly #log: Logger | null
  readonly #settings: NonNullable<GuardedClientConfig['settings']>
  readonly #config: GuardedClientConfig
  readonly #clients = new Set<GuardedClient>()
  readonly #idle = new Set<GuardedClient>()
  #answeredMs = Number.NEGATIVE_INFINITY

  /** @param log `null`: what is lost is not logged here. */
  constructor(config: pg.PoolConfig & GuardedClientConfig, log: Logger | null) {
    const settings = config.settings ?? { level: 'all' }
    const guarded: GuardedClientConfig = { ...config, settings, onFault: (_client, why) => this.condemnAll(why) }
    super({ ...guarded, Client: GuardedClient } as pg.PoolConfig)
    this.#log = log
    this.#settings = settings
    this.#config = guarded
    this.on('connect', (client) => this.#clients.add(guard(client)))
    this.on('acquire', (client) => this.#idle.delete(guard(client)))
    this.on('release', (error, client) => this.#released(error, guard(client)))
    this.on('remove', (client) => {
      this.#clients.delete(guard(client))
      this.#idle.delete(guard(client))
    })
    this.on('error', (err, client) => {
      this.#idle.delete(guard(client))
      if (guard(client).dropped) return
      this.#log?.warn({ event: 'database.connection_lost', err }, 'a database connection was lost')
    })
  }

  /** A connection that can write, new or proved. @throws {NoConnection} when there is none. */
  override connect(): Promise<pg.PoolClient>
  override connect(callback: Taken): void
  override connect(callback?: Taken): Promise<pg.PoolClient> | undefined {
    const taken = this.#take()
    if (callback === undefined) return taken
    void taken.then(
      (client) => callback(undefined, client, client.release),
      (error: Error) => callback(error, undefined, () => undefined),
    )
    return undefined
  }

  /** Whether the sessions have all of our settings, or those that a pooler passes on. */
  get settingsLevel(): SettingsLevel {
    return this.#settings.level
  }

  /** Whether a statement has been answered within `ms`. */
  answeredWithin(ms: number): boolean {
    return performance.now() - this.#answeredMs < ms
  }

  /** @throws {NoConnection} unless a connection can be had and can write. */
  async probe(): Promise<void> {
    const client = guard(await this.connect())
    try {
      await client.prove()
      client.release()
    } catch (error) {
      client.release(true)
      if (error instanceof SessionFault) this.condemnAll(error.message)
      throw new NoConnection(error)
    }
  }

  /** Discards all existing connections; those in use are closed when released. */
  condemnAll(why: string): void {
    const fresh = [...this.#clients].filter((client) => !client.condemned)
    for (const client of this.#clients) client.condemn()
    for (const client of this.#idle) client.drop()
    if (fresh.length === 0) return
    const fields = { event: 'database.connections_dropped', connections: fresh.length, reason: why }
    this.#log?.warn(fields, `${why}: no database connection made before is used again`)
  }

  async #take(): Promise<PooledClient> {
    for (;;) {
      const client = await this.#takeAny()
      if (client.condemned) {
        client.release(true)
        continue
      }
      if (client.provedWithin(recheckMs)) return client
      const isNew = !client.wasProved
      try {
        await client.prove()
        return client
      } catch (error) {
        client.release(true)
        if (error instanceof SessionFault) this.condemnAll(error.message)
        if (isNew) throw new NoConnection(error)
      }
    }
  }

  async #takeAny(): Promise<PooledClient> {
    try {
      return guard(await super.connect())
    } catch (error) {
      if (isMisuse(error)) throw error
      if (await this.#refusesSettings(error)) return this.#takeAny()
      if (error instanceof Error && error.message === 'timeout exceeded when trying to connect') {
        Object.assign(error, { code: sessionFaults.poolFull })
      }
      throw new NoConnection(error)
    }
  }

  /** Poolers reject unknown startup parameters, each with its own message: try without them. */
  async #refusesSettings(error: unknown): Promise<boolean> {
    const code = codeOf(error)
    if (this.#settings.level === 'tracked' || !/^[0-9A-Z]{5}$/.test(code) || saysWhy.test(code)) return false
    const client = new GuardedClient({ ...this.#config, settings: { level: 'tracked' } })
    try {
      await client.connect()
    } catch {
      return false
    } finally {
      void client.end().catch(() => undefined)
    }
    this.#settings.level = 'tracked'
    return true
  }

  #released(error: unknown, client: GuardedClient): void {
    if (client.isUnanswered && !error) this.condemnAll('a statement was given up before it was answered')
    else if (client.occupied) client.condemn()
    if (error || client.condemned) return
    this.#answeredMs = performance.now()
    this.#idle.add(client)
  }
}

/** Every client of this pool is made by its `Client` option. */
const guard = (client: pg.ClientBase): PooledClient => client as unknown as PooledClient

const isMisuse = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('Cannot use a pool after calling end')
