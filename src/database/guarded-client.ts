import pg from 'pg'
import { readOnlyTransaction, sessionFaults } from './errors.ts'
import { askSession, judgeSession, type SessionRow, type SettingsLevel, startupSettings } from './session-settings.ts'

export interface GuardedClientConfig extends pg.ClientConfig {
  /** How long connecting may take, if it differs from the wait for a pooled connection. */
  connectMs?: number
  /** Shared by all clients of a pool, and changed when a pooler refuses settings. */
  settings?: { level: SettingsLevel }
  /** Called when a statement got no answer in time, or was refused because the session cannot write. */
  onFault?: (client: GuardedClient, why: string) => void
}

type Callback = (error: Error | null, result: unknown) => void

/** The server aborts a statement this much before we do: the connection is then known to work, and is kept. */
const serverGivesUpEarlierMs = 500
/** How long {@link GuardedClient.prove} waits for its answer. */
const maxProofMs = 3_000

/** `pg`'s messages without a code for a connection that has ended. */
const endedWords =
  /^(Connection terminated|Client has encountered a connection error|Client was closed and is not queryable)/
const unansweredWords = /^Query read timeout/

/**
 * A connection that knows when it must not be used again: after a statement without an answer, or one that was refused
 * because the session is read-only. Its session has the settings that we rely on.
 */
export class GuardedClient extends pg.Client {
  readonly #config: GuardedClientConfig
  readonly #deadlineMs: number
  #condemned = false
  #dropped = false
  #unanswered = 0
  #proved = false
  #wasProved = false
  #answeredMs = Number.NEGATIVE_INFINITY

  constructor(config: GuardedClientConfig = {}) {
    super({ ...config, connectionTimeoutMillis: config.connectMs ?? config.connectionTimeoutMillis })
    this.#config = config
    this.#deadlineMs = config.query_timeout ?? 0
    // Without a listener the loss of a connection that is in use would end the process; its statement rejects anyway.
    this.on('error', () => this.condemn())
    // An authentication that fails on our side leaves the socket open until the server times out after a minute.
    this.connection.on('error', () => this.connection.stream.destroy())
    const query = this.query.bind(this) as (...args: unknown[]) => unknown
    this.query = ((...args: unknown[]) => this.#watch(query, args)) as typeof this.query
  }

  /** Set by {@link condemn} alone; a pool never hands such a connection out. */
  get condemned(): boolean {
    return this.#condemned
  }

  /** Whether it is in the middle of a statement or transaction, and so cannot be reused. */
  get occupied(): boolean {
    return this.#unanswered > 0 || this.getTransactionStatus() === 'T' || this.getTransactionStatus() === 'E'
  }

  get isUnanswered(): boolean {
    return this.#unanswered > 0
  }

  /** Whether it has ever shown that it can write. */
  get wasProved(): boolean {
    return this.#wasProved
  }

  /** Whether it has shown that it can write, and has been answered within `ms`. */
  provedWithin(ms: number): boolean {
    return this.#proved && performance.now() - this.#answeredMs < ms
  }

  condemn(): void {
    this.#condemned = true
  }

  /** Whether {@link drop} ended it, and not the server or the network. */
  get dropped(): boolean {
    return this.#dropped
  }

  /** Closes without the protocol's farewell: a server that has vanished never answers. */
  drop(): void {
    this.condemn()
    this.#dropped = true
    this.connection.stream.destroy()
  }

  /** Checks that this session is usable. @throws {SessionFault} when it is not. */
  async prove(): Promise<void> {
    this.#proved = false
    const level = this.#config.settings?.level ?? 'all'
    const deadlineMs = Math.min(maxProofMs, this.#deadlineMs || maxProofMs)
    const question = { text: askSession(level), query_timeout: deadlineMs }
    const { rows } = await this.query<SessionRow>(question)
    judgeSession(rows[0])
    this.#proved = true
    this.#wasProved = true
  }

  /** Overrides what `pg` sends when it connects; it has no option for settings of one's own. */
  getStartupConf(): Record<string, string> {
    const given = clientInternals.getStartupConf.call(this)
    const level = this.#config.settings?.level ?? 'all'
    return { ...given, ...startupSettings(level, Math.max(0, this.#deadlineMs - serverGivesUpEarlierMs)) }
  }

  #watch(query: (...args: unknown[]) => unknown, args: unknown[]): unknown {
    this.#unanswered += 1
    const callback = args.at(-1)
    if (typeof callback === 'function') {
      const answered: Callback = (error, result) => {
        this.#answered(error)
        ;(callback as Callback)(error, result)
      }
      return query(...args.slice(0, -1), answered)
    }
    const answer = query(...args)
    void (answer as Promise<unknown>).then(
      () => this.#answered(null),
      (error: unknown) => this.#answered(error),
    )
    return answer
  }

  #answered(error: unknown): void {
    this.#unanswered -= 1
    if (!(error instanceof Error)) {
      this.#answeredMs = performance.now()
      return
    }
    if (unansweredWords.test(error.message)) {
      Object.assign(error, { code: sessionFaults.silent })
      this.drop()
      this.#config.onFault?.(this, 'a statement was not answered in time')
    } else if (endedWords.test(error.message)) {
      Object.assign(error, { code: 'ECONNRESET' })
      this.condemn()
    } else if ('code' in error && error.code === readOnlyTransaction) {
      this.condemn()
      this.#config.onFault?.(this, 'the server takes no writes')
    }
  }
}

const clientInternals = pg.Client.prototype as unknown as {
  getStartupConf(this: pg.Client): Record<string, string>
}
